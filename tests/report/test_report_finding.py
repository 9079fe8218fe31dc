"""Which files a report is made of, which are left out of it, and which are none of its business."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import pytest
from support import benchmark_results, experiment_reports
from support.pages import Reader
from support.reports import save_run
from support.saved_models import make_model

from nnx.errors import FileFormatError, OptionError
from nnx.report import finding
from nnx.report.finding import find
from nnx.report.page import make


def test_folders_are_looked_through_for_what_is_of_nnx_and_the_rest_is_passed_over(folder):
    runs = folder / "runs"
    (runs / "deep").mkdir(parents=True)
    (runs / ".hidden").mkdir()
    for name in ("deep/b.h5", "a.h5", ".hidden/c.h5"):
        save_run(runs / name)
    (runs / "notes.json").write_text('{"format": "of another program"}')
    (runs / "data.h5").write_bytes(b"of another program")
    (runs / "picture.png").write_bytes(b"\x89PNG")
    with h5py.File(runs / "images.h5", "w") as file:
        file["x"] = [1.0]
    found = find([runs, runs / "a.h5"])
    assert [source.path.relative_to(runs).as_posix() for source in found] == ["a.h5", "images.h5", "deep/b.h5"]
    page = make(found)
    assert len(page.sections) == 2
    assert "expected a file of format 'nnx model'" in page.left_out[runs / "images.h5"]
    assert "expected a file of format 'nnx model'" in "".join(Reader(page.html()).text)


def test_what_lies_damaged_in_a_folder_is_left_out_and_what_is_of_others_is_not_spoken_of(folder, monkeypatch):
    save_run(folder / "whole.h5")
    benchmark = json.dumps(benchmark_results.sample())
    (folder / "cut.json").write_text(benchmark[:500])
    (folder / "experiment.json").write_text('{"format": "nnx experiment report 2", "name": ')
    (folder / "former.json").write_text('{"format": "nnx experiment report 1"}')
    (folder / "foreign.json").write_text('{"format": 1, "of": "another program"}')
    (folder / "list.json").write_text("[1, 2]")
    (folder / "large.json").write_text('{"format": 1, "rounds": [' + " " * 5_000_000 + "]}")
    monkeypatch.setattr(finding, "LARGEST", 4_000_000)
    page = make(find([folder]))
    assert [title for title, _ in page.sections.values()] == [f"{folder.name}/whole.h5"]
    reasons = {path.name: reason for path, reason in page.left_out.items()}
    assert reasons.keys() == {"cut.json", "experiment.json", "former.json", "large.json"}
    assert reasons["cut.json"].startswith("it is not JSON: ")
    assert reasons["experiment.json"].startswith("it is neither HDF5 nor JSON. Give ")
    assert "of format 'nnx experiment report 2', but of 'nnx experiment report 1'" in reasons["former.json"]
    assert "expected at most 3.8 MiB, got 4.8 MiB" in reasons["large.json"]
    words = "".join(Reader(page.html()).text)
    assert f"{folder.name}/large.json: expected at most" in words
    assert str(folder) not in words  # whose machine it is


def test_a_file_that_may_not_be_read_is_left_out_with_the_reason_alone(folder, monkeypatch):
    (folder / "report.json").write_text(json.dumps(experiment_reports.sample().to_json()))
    sources = find([folder])
    real = Path.read_text

    def refuse(path: Path, **options: object) -> str:
        if path.name == "report.json":
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, **options)

    monkeypatch.setattr(Path, "read_text", refuse)
    assert list(make(sources).left_out.values()) == ["Permission denied"]
    assert find([folder]) == sources


def test_what_cannot_be_shown_is_refused_with_what_to_give(folder, monkeypatch):
    (folder / "notes.json").write_text("[]")
    (folder / "notes.txt").write_text("notes")
    with pytest.raises(OptionError, match=r"PATHS must exist, got 'none.h5'. Give a model or checkpoint"):
        find([Path("none.h5")])
    with pytest.raises(FileFormatError, match=r"notes.json: it holds no JSON object. Give a model"):
        find([Path("notes.json")])
    with pytest.raises(FileFormatError, match=r"notes.txt: it is neither HDF5 nor JSON"):
        find([Path("notes.txt")])
    monkeypatch.setattr(finding, "LARGEST", 1)
    with pytest.raises(FileFormatError, match=r"expected at most 1 B, got 2 B"):
        find([Path("notes.json")])
    for name in ("a.h5", "b.h5"):
        make_model().build((4,))
        save_run(folder / name)
    monkeypatch.setattr(finding, "MOST", 1)
    with pytest.raises(OptionError, match=r"PATHS hold more than 1 files"):
        find([folder])
