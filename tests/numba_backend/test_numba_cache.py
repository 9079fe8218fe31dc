"""Compiled kernels on disk."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from nnx.errors import BackendUnavailableError
from numba_backend.support import outcome, start

pytest.importorskip("numba")

INCREMENT = """
import numpy as np
from nnx_numba import NumbaBackend, elementary, indexing
backend, counter = NumbaBackend(), np.zeros((), np.int64)
backend.increment(counter)
y = np.empty(1, np.float32)
backend.activate(np.zeros(1, np.float32), y, "sigmoid", 0.0)
print(int(counter), float(y[0]), int(indexing.increment.entry((counter,)).cached))
"""


def test_the_second_process_compiles_nothing(package: Path) -> None:
    assert outcome(start(INCREMENT, package)) == ["1", "0.5", "0"]
    assert outcome(start(INCREMENT, package)) == ["1", "0.5", "1"]


def test_an_edited_helper_is_compiled_anew_in_kernels_of_other_files(package: Path) -> None:
    outcome(start(INCREMENT, package))
    helper = package / "nnx_numba" / "elementary.py"
    source = helper.read_text()
    edited = re.sub(r"(def sigmoid.*?return )", r"\1 1.0 + ", source, flags=re.DOTALL)
    assert edited != source
    helper.write_text(edited)
    assert outcome(start(INCREMENT, package)) == ["1", "1.5", "0"]


def test_an_edited_helper_in_a_folder_below_is_noticed(package: Path) -> None:
    stamp = "from nnx_numba.cache import source_stamp; print(source_stamp().hex())"
    before = outcome(start(stamp, package))
    assert outcome(start(stamp, package)) == before
    helper = package / "nnx_numba" / "images" / "sums.py"
    helper.write_text(helper.read_text() + "\n")
    assert outcome(start(stamp, package)) != before


def test_a_broken_cache_file_is_compiled_anew(package: Path) -> None:
    outcome(start(INCREMENT, package))
    files = list((package / "nnx_numba").rglob("*.nbc"))
    assert files
    for file in files:
        file.write_bytes(file.read_bytes()[:100])
    assert outcome(start(INCREMENT, package))[:2] == ["1", "0.5"]


def unwritable(folder: Path) -> str:
    """A path below a plain file: no user, root included, can make a folder there."""
    folder.joinpath("file").write_text("")
    return str(folder / "file" / "below")


def lock(package: Path) -> None:
    """Let nothing be written next to the sources: a file stands where the cache's folder would be."""
    package.joinpath("nnx_numba", "__pycache__").write_text("")


def test_a_read_only_install_caches_in_the_home_folder(package: Path, tmp_path: Path) -> None:
    lock(package)
    home = tmp_path / "home"
    places = {"HOME": str(home), "XDG_CACHE_HOME": str(home), "LOCALAPPDATA": str(home)}
    quiet = {"PYTHONDONTWRITEBYTECODE": "1"}
    assert outcome(start(INCREMENT, package, **places, **quiet))[2] == "0"
    assert outcome(start(INCREMENT, package, **places, **quiet))[2] == "1"
    assert list(home.rglob("*.nbc"))


def test_with_nowhere_to_write_the_kernels_still_run(package: Path, tmp_path: Path) -> None:
    lock(package)
    nowhere = unwritable(tmp_path)
    places = {"HOME": nowhere, "XDG_CACHE_HOME": nowhere, "LOCALAPPDATA": nowhere}
    assert outcome(start(INCREMENT, package, **places, PYTHONDONTWRITEBYTECODE="1"))[:2] == ["1", "0.5"]


def test_processes_may_start_at_once_on_an_empty_cache(package: Path) -> None:
    processes = [start(INCREMENT, package) for _ in range(3)]
    assert [outcome(process)[:2] for process in processes] == [["1", "0.5"]] * 3
    assert not list(package.rglob("*.tmp"))


def test_a_numba_that_cannot_be_imported_is_reported_when_the_backend_is_made(package: Path) -> None:
    program = """
import sys
sys.modules["numba"] = None
from nnx.errors import BackendUnavailableError
from nnx_numba import NumbaBackend
try:
    NumbaBackend()
except BackendUnavailableError as error:
    print("pip" in error.hint, error.reason)
"""
    words = outcome(start(program, package))
    assert words[0] == "True"
    assert issubclass(BackendUnavailableError, RuntimeError)
