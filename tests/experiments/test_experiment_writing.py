"""A report on disk: all of it, or what was there before."""

import errno
import json
import stat
from pathlib import Path

import pytest
from support.experiment_reports import pictures, sample

from nnx.errors import StorageError
from nnx.experiments.reporting.markdown import text
from nnx.experiments.reporting.writing import write

pytest.importorskip("matplotlib", reason="matplotlib is not installed: nothing draws pictures")

FILES = ["first-picture.png", "second-picture.png", "report.html", "report.md", "report.json"]


def contents(folder: Path) -> dict[str, bytes]:
    """Return what stands in a folder, hidden things too."""
    return {path.name: path.read_bytes() if path.is_file() else b"a folder" for path in folder.iterdir()}


def fail_at(monkeypatch: pytest.MonkeyPatch, method: str, turn: int, error: BaseException) -> None:
    """Have a method of Path raise an error when it is called for the turn-th time, from 0, in a report."""
    done, right = [], getattr(Path, method)

    def failing(self: Path, *given: object) -> object:
        done.append(self)
        if len(done) == turn + 1:
            raise error
        return right(self, *given)

    monkeypatch.setattr(Path, method, failing)


def full() -> OSError:
    return OSError(errno.ENOSPC, "No space left on device")


def test_a_report_is_a_page_a_text_values_and_pictures(tmp_path):
    report = sample(pictures=pictures)
    files = write(report, tmp_path / "new" / "folder")
    assert sorted(files) == sorted(FILES) == sorted(contents(tmp_path / "new" / "folder"))
    assert files["report.html"].read_text(encoding="utf-8").startswith("<!doctype html>")
    assert files["report.md"].read_text(encoding="utf-8") == text(report)
    assert json.loads(files["report.json"].read_text(encoding="utf-8")) == report.to_json()
    assert files["first-picture.png"].read_bytes()[:4] == b"\x89PNG"
    assert {stat.S_IMODE(path.stat().st_mode) for path in files.values()} == {0o644}


def test_a_report_replaces_an_older_one_and_leaves_other_files_alone(tmp_path):
    write(sample(pictures=pictures, title="Older"), tmp_path)
    (tmp_path / "kept").write_text("mine")
    write(sample(pictures=pictures, title="Newer"), tmp_path)
    assert sorted(contents(tmp_path)) == sorted([*FILES, "kept"])
    assert "Newer" in (tmp_path / "report.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("turn", range(len(FILES)))
@pytest.mark.parametrize("older", [True, False])
def test_a_full_disk_leaves_what_was_there_and_nothing_else(tmp_path, monkeypatch, turn, older):
    if older:
        write(sample(pictures=pictures, title="Older"), tmp_path)
    before = contents(tmp_path)
    fail_at(monkeypatch, "write_bytes", turn, full())
    with pytest.raises(StorageError, match=r"cannot be written to .*: No space left on device"):
        write(sample(pictures=pictures, title="Newer"), tmp_path)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("turn", range(2 * len(FILES)))
@pytest.mark.parametrize("older", [True, False])
def test_a_rename_that_fails_leaves_what_was_there(tmp_path, monkeypatch, turn, older):
    if older:
        write(sample(pictures=pictures, title="Older"), tmp_path)
    before = contents(tmp_path)
    fail_at(monkeypatch, "replace", turn, OSError(errno.EIO, "Input/output error"))
    with pytest.raises(StorageError, match="Input/output error"):
        write(sample(pictures=pictures, title="Newer"), tmp_path)
    assert contents(tmp_path) == before


def test_an_interrupt_halfway_leaves_the_older_report(tmp_path, monkeypatch):
    write(sample(pictures=pictures, title="Older"), tmp_path)
    before = contents(tmp_path)
    fail_at(monkeypatch, "replace", len(FILES) + 2, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        write(sample(pictures=pictures, title="Newer"), tmp_path)
    assert contents(tmp_path) == before


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path, monkeypatch):
    def refuse(**_: object) -> str:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("nnx.experiments.reporting.writing.tempfile.mkdtemp", refuse)
    with pytest.raises(StorageError, match=r"folder': Permission denied\. Nothing there was changed"):
        write(sample(), tmp_path / "folder")


def test_a_file_where_the_folder_should_be_is_refused_and_kept(tmp_path):
    (tmp_path / "taken").write_text("mine")
    with pytest.raises(StorageError, match="taken"):
        write(sample(), tmp_path / "taken")
    assert (tmp_path / "taken").read_text() == "mine"


def test_a_picture_that_cannot_be_drawn_leaves_the_older_report(tmp_path, monkeypatch):
    write(sample(pictures=pictures, title="Older"), tmp_path)
    before = contents(tmp_path)
    report = sample(pictures=pictures, title="Newer")

    def refuse(*_: object, **__: object) -> None:
        raise ValueError("Image size of 1e6 pixels is too large")

    monkeypatch.setattr(type(report.pictures[1].figure), "savefig", refuse)
    with pytest.raises(ValueError, match="too large"):
        write(report, tmp_path)
    assert contents(tmp_path) == before
