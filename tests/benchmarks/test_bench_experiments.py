"""The tables of all experiments in one file."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from support.experiment_reports import COMMAND, PROVENANCE, sample

from benchmarks import experiments
from nnx.errors import FileFormatError, StorageError
from nnx.experiments import EXPERIMENTS
from nnx.experiments.reporting.writing import write


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(EXPERIMENTS, "a-or-b", sample().experiment)


def run_on(folder: Path, backend: str, **changes: object) -> Path:
    """Write a report into a folder as if its experiment had run on a backend."""
    report = sample(**changes)
    write(replace(report, provenance={**PROVENANCE, "backend": backend}), folder)
    return folder


def test_each_experiment_and_backend_has_a_table_with_its_command_machine_and_versions(tmp_path):
    run_on(tmp_path / "a", "numpy")
    run_on(tmp_path / "b", "numba")
    run_on(tmp_path / "c", "numpy", name="cats-initialization", title="Weights")
    out = tmp_path / "experiments.md"
    experiments.main([str(tmp_path / "a"), str(tmp_path), "--out", str(out)])
    text = out.read_text(encoding="utf-8")
    assert [line for line in text.splitlines() if line.startswith("#")] == [
        "# The published experiments",
        "## cats-initialization",
        "### On numpy",
        "## a-or-b",
        "### On numba",
        "### On numpy",
    ]
    assert text.count(f"```sh\n{COMMAND}\n```") == 3
    assert r"| a \| b | 70 % (66 to 72 %)<br>published 72 %: within the range | 0.06, 2 of 3 seeds<br>" in text
    assert (
        "Made 2026-01-02 03:04 to 05:06 UTC; 3 seeds, 2 at a time, threads for each: 1 to 2; Test &lt;CPU&gt;, "
        "2 cores; CPU; Python 3.11.7, nnx 0.1.0, numpy 2.4.6."
    ) in text
    assert "- 2 rows, a &lt; b." in text


def test_two_reports_of_the_same_are_not_joined(tmp_path):
    run_on(tmp_path / "a", "numpy")
    run_on(tmp_path / "b", "numpy")
    with pytest.raises(FileFormatError, match="are both of a-or-b on numpy; leave one of them out"):
        experiments.gather([tmp_path])


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("{", "cannot be read as JSON"),
        ("[]", "holds no 'nnx experiment report 2'"),
        ('{"format": "nnx experiment report 0"}', "holds no 'nnx experiment report 2'"),
        ('{"format": "nnx experiment report 2", "name": "x"}', "a part missing or broken: KeyError"),
    ],
)
def test_a_file_that_holds_something_else_is_refused_and_nothing_is_written(tmp_path, content, complaint):
    (tmp_path / "report.json").write_text(content, encoding="utf-8")
    with pytest.raises(FileFormatError, match=complaint):
        experiments.main([str(tmp_path), "--out", str(tmp_path / "experiments.md")])
    assert not (tmp_path / "experiments.md").exists()


@pytest.mark.parametrize("part", ["title", "quantities", "rows", "notes", "legend", "provenance"])
def test_a_report_that_lacks_a_part_is_refused_by_name(tmp_path, part):
    run_on(tmp_path, "numpy")
    path = tmp_path / "report.json"
    stored = json.loads(path.read_text(encoding="utf-8"))
    del stored[part]
    path.write_text(json.dumps(stored), encoding="utf-8")
    with pytest.raises(FileFormatError, match=f"report.json' is a report with a part missing or broken: .*{part}"):
        experiments.read(path)


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("name", ["a-or-b"]),
        ("name", "[x](http://evil) <script>"),
        ("name", "toString"),
        ("title", 5),
        ("quantities", "cost"),
        ("notes", {"a": 1}),
        ("notes", [["a"]]),
        ("rows", {}),
        ("provenance", {**PROVENANCE, "backend": ["numpy"]}),
        ("provenance", {**PROVENANCE, "seeds": "3"}),
        ("provenance", {**PROVENANCE, "devices": ["CPU"]}),
    ],
)
def test_a_report_with_a_part_of_another_kind_is_refused_by_name(tmp_path, part, value):
    run_on(tmp_path, "numpy")
    path = tmp_path / "report.json"
    stored = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**stored, part: value}), encoding="utf-8")
    with pytest.raises(FileFormatError, match=r"report\.json' is a report"):
        experiments.gather([tmp_path])


def test_names_are_no_markdown(tmp_path, monkeypatch):
    hostile = "[x](http://evil) <script>"
    monkeypatch.setitem(EXPERIMENTS, hostile, sample().experiment)
    run_on(tmp_path, "numpy", name=hostile)
    assert r"## \[x\](http://evil) &lt;script&gt;" in experiments.markdown(experiments.gather([tmp_path]))


def test_a_folder_without_reports_says_how_to_get_one(tmp_path):
    with pytest.raises(FileFormatError, match=r"`nnx experiment run NAME --out .*` would write one"):
        experiments.gather([tmp_path])


def test_a_file_that_cannot_be_written_is_named(tmp_path):
    run_on(tmp_path, "numpy")
    with pytest.raises(StorageError, match=r"nowhere/experiments.md' cannot be written"):
        experiments.main([str(tmp_path), "--out", str(tmp_path / "nowhere" / "experiments.md")])
