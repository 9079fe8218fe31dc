import errno
import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from support.small_experiments import REPORTS, RUN, Toy, files

import nnx
from nnx.datasets import download
from nnx.errors import DatasetUnavailableError
from nnx.experiments import EXPERIMENTS, Row
from nnx.experiments.execution.locking import LOCK, alone_in


def test_a_folder_that_another_run_writes_to_is_told_before_any_work(run_nnx, offer, complaint, tmp_path):
    offer()
    folder = tmp_path / "runs" / "toy" / "runs"
    folder.mkdir(parents=True)
    with alone_in(folder):
        assert "Another run is writing to 'runs/toy/runs'" in complaint(run_nnx(*RUN))
    assert run_nnx(*RUN).exit_code == 0


@pytest.mark.usefixtures("nothing_runs")
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("toi",), "Unknown experiment 'toi'. Did you mean 'toy'?"),
        (("toy", "--backend", "nump"), "Unknown backend 'nump'. Did you mean 'numpy'?"),
        (("toy", "--seeds", "0"), "--seeds must be a whole number from 1 to 1000, got '0'."),
        (("toy", "--seeds", "1e9"), "--seeds must be a whole number from 1 to 1000, got '1e9'."),
        (("toy", "--jobs", "0"), "--jobs must be a whole number from 1 to 1000, got '0'."),
        (("toy", "--jobs", "-1"), "--jobs must be a whole number from 1 to 1000, got '-1'."),
        (("toy", "--out", "file"), "--out: the folder 'file' cannot be made: File exists."),
        (("toy", "--out", "file/inside"), "--out: the folder 'file/inside' cannot be made: Not a directory."),
    ],
)
def test_a_wrong_command_line_is_one_line_before_any_work(run_nnx, offer, complaint, tmp_path, arguments, words):
    offer()
    (tmp_path / "file").write_text("")
    result = run_nnx("experiment", "run", *arguments)
    assert words in complaint(result)
    assert result.exit_code == 2
    assert files(tmp_path) == {"file"}


@pytest.mark.usefixtures("nothing_runs")
def test_a_folder_that_cannot_be_written_to_is_told_before_any_work(run_nnx, offer, complaint, tmp_path):
    offer()
    (tmp_path / "runs" / "toy" / "runs").mkdir(parents=True)
    (tmp_path / "runs" / "toy").chmod(0o500)
    if os.access(tmp_path / "runs" / "toy", os.W_OK):
        pytest.skip("this user may write to any folder")
    assert "--out: nothing can be written to 'runs/toy'" in complaint(run_nnx(*RUN))


@pytest.mark.usefixtures("nothing_runs")
def test_a_missing_data_set_is_told_before_any_work(run_nnx, offer, complaint, tmp_path, monkeypatch):
    def refuse(*_):
        raise DatasetUnavailableError("no network")

    monkeypatch.delenv("NNX_DATA", raising=False)
    monkeypatch.setenv("NNX_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(download, "download", refuse)
    offer(dataset="cats")
    result = run_nnx(*RUN)
    assert "Data set 'cats' is not here: run `nnx data fetch cats`" in complaint(result)
    assert result.exit_code == 1
    assert not (tmp_path / "runs").exists()


@pytest.fixture
def without_matplotlib(monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)


@pytest.mark.usefixtures("without_matplotlib", "nothing_runs")
def test_a_missing_matplotlib_is_told_before_any_work_and_how_to_get_it(run_nnx, offer, complaint, tmp_path):
    offer()
    result = run_nnx(*RUN)
    told = "matplotlib is needed for pictures, and is not installed: python -m pip install 'nnx-framework[plot]'"
    assert told in complaint(result)
    assert result.exit_code == 1
    assert not (tmp_path / "runs").exists()
    assert run_nnx("experiment", "list").exit_code == 0


@pytest.mark.usefixtures("nothing_runs")
def test_an_engine_that_is_not_here_or_has_no_row_is_told_before_any_work(run_nnx, offer, complaint, monkeypatch):
    toy = offer([Row("numpy", Toy(), backend="numpy"), Row("numba", Toy(), backend="numba")], alone=True)
    result = run_nnx(*RUN)
    assert "--backend must be one of numba, numpy for toy" in complaint(result)
    assert result.exit_code == 2
    monkeypatch.setitem(EXPERIMENTS, "toy", replace(toy, dataset=None))
    result = run_nnx("experiment", "run", "toy", "--backend", "numpy", "--jobs", "2")
    assert "--jobs must be 1 for toy, which measures time" in complaint(result)
    if not nnx.registry.describe("cupy").available:
        result = run_nnx("experiment", "run", "toy", "--backend", "cupy")
        assert "Backend 'cupy' is not available" in complaint(result)


def fill_disk(patch, method: str, name: str) -> None:
    """Let there be room for the name of a file that begins so, and none for what `method` of Path writes to it."""
    write = getattr(Path, method)

    def refuse(self, *given, **options):
        if not self.name.startswith(name):
            return write(self, *given, **options)
        self.touch()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self))

    patch.setattr(Path, method, refuse)


@pytest.mark.parametrize(
    ("method", "name", "words", "left"),
    [
        ("write_text", ".second", "'second', seed 1, could not be kept in 'runs/toy/runs': No space left", 3),
        ("write_bytes", ".report.md", "The report cannot be written to 'runs/toy': No space left on device", 6),
    ],
)
def test_a_full_disk_is_one_line_and_leaves_no_half_written_file(
    run_nnx, offer, tmp_path, monkeypatch, method, name, words, left
):
    offer()
    run_nnx(*RUN, "--seeds", "1")
    before = (tmp_path / "runs" / "toy" / "report.json").read_bytes()
    with monkeypatch.context() as patch:
        fill_disk(patch, method, name)
        result = run_nnx(*RUN)
    assert result.exit_code == 1
    assert words in result.stderr.splitlines()[-1]
    assert "Traceback" not in result.stderr
    folder = tmp_path / "runs" / "toy"
    assert {path.name for path in folder.iterdir()} == REPORTS | {"runs"}
    assert (folder / "report.json").read_bytes() == before
    assert len(files(folder / "runs") - {LOCK}) == left
    assert run_nnx(*RUN).exit_code == 0
