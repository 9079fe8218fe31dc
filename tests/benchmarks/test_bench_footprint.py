"""What libraries cost before they have done anything: the programs, the table, and the page that shows it."""

import json
import subprocess
import sys

import pytest

from benchmarks import environment, footprint
from benchmarks.footprint_programs import PROGRAMS
from nnx.errors import NnxError

ROW = {
    "bytes": 123_400_000,
    "packages": ["numpy 2.4.6", "nnx-framework 0.1.0"],
    "first": [0.3, 2.5],
    "later": [0.25, 0.5],
    "starts": 3,
}
FOUND = {
    "machine": {"processor": "AMD EPYC", "cores": 2, "python": "3.11.7"},
    "rows": {"nnx, numba": ROW, "Thinc": {"reason": "no wheel"}},
}


@pytest.mark.parametrize("name", [name for name in PROGRAMS if name.startswith("nnx")])
def test_the_programs_of_nnx_predict_a_class_and_tell_both_times(name):
    surroundings = environment.clean(1) | dict(PROGRAMS[name].variables)
    command = [sys.executable, "-W", "error", "-c", PROGRAMS[name].text]
    done = subprocess.run(command, env=surroundings, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    imported, total, predicted = json.loads(done.stdout)
    assert 0 < imported < total
    assert predicted in range(10)


@pytest.mark.parametrize("name", list(PROGRAMS))
def test_a_program_is_python(name):
    assert compile(PROGRAMS[name].text, name, "exec")


def test_the_table_shows_sizes_times_versions_and_what_could_not_be_measured():
    heading, _, ours, theirs, _, note = footprint.markdown(FOUND).splitlines()
    assert heading.count("|") == ours.count("|") == theirs.count("|")
    assert ours == "| nnx, numba | 123 MB | 2 | 0.25 s | 0.50 s | 2.50 s |"
    assert "not measured" in theirs
    assert note == "Measured on one core of 2 (AMD EPYC), Python 3.11.7: nnx-framework 0.1.0."


def test_a_library_whose_version_is_asked_for_is_named_with_it_too():
    name = "PyTorch, CPU build"
    row = {**ROW, "packages": ["sympy 1.14.0", "torch 2.13.0+cpu"]}
    assert footprint.markdown({**FOUND, "rows": {name: row}}).endswith(": torch 2.13.0+cpu.")


def test_only_what_stands_between_the_markers_is_rewritten(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"before\n{footprint.BEGIN}\nold\n{footprint.END}\nafter\n", encoding="utf-8")
    footprint.rewrite(page, FOUND)
    text = page.read_text(encoding="utf-8")
    assert text.startswith(f"before\n{footprint.BEGIN}\n| Library")
    assert text.endswith(f"{footprint.END}\nafter\n")
    assert "old" not in text


def test_a_page_without_a_place_for_the_table_is_left_alone(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("no markers", encoding="utf-8")
    with pytest.raises(NnxError, match=r"page\.md must have the lines"):
        footprint.rewrite(page, FOUND)
    assert page.read_text(encoding="utf-8") == "no markers"


def test_a_library_that_cannot_be_installed_does_not_cost_the_others(monkeypatch):
    class Unavailable(footprint.Installed):
        def __init__(self, program, folder):
            raise NnxError(f"pip found no {program.requirements[0]} for {folder.name}")

    monkeypatch.setattr(footprint, "Installed", Unavailable)
    rows = footprint.measure_all(["Thinc", "JAX"], starts=2)["rows"]
    assert rows == {"Thinc": {"reason": "pip found no thinc for 0"}, "JAX": {"reason": "pip found no jax for 1"}}


def test_a_failing_program_is_told_by_its_last_line():
    with pytest.raises(NnxError, match=r"failed: ValueError: no digits$"):
        footprint._run([sys.executable, "-c", "raise ValueError('no digits')"])


def test_sizes_count_files_once_and_links_not(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").write_bytes(b"x" * 100)
    (tmp_path / "link").symlink_to(tmp_path / "folder" / "file")
    assert footprint.size_of(tmp_path) == 100


def test_the_page_shows_the_stored_results():
    stored = json.loads(footprint.STORED.read_text(encoding="utf-8"))
    assert footprint.markdown(stored) in footprint.PAGE.read_text(encoding="utf-8")
