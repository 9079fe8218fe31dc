"""`nnx report` as it is typed."""

from __future__ import annotations

import json

import pytest
from support import experiment_reports
from support.saved_models import save_trained

from nnx.checkout import ROOT, load_benchmarks
from nnx.experiments.reporting.writing import write
from nnx.report import finding


@pytest.fixture
def no_checkout(monkeypatch, tmp_path):
    """Stand where no benchmarks are at hand."""
    monkeypatch.setattr("nnx.checkout.ROOT", tmp_path)
    monkeypatch.setattr(finding, "ROOT", tmp_path)


def test_report_writes_what_is_named_into_one_page(run_nnx, tmp_path):
    save_trained(tmp_path / "model.h5")
    result = run_nnx("report", "model.h5")
    assert (result.exit_code, result.stdout) == (0, "Report of 1 file: nnx-report.html\n")
    assert "BatchNorm" in (tmp_path / "nnx-report.html").read_text(encoding="utf-8")
    told = json.loads(run_nnx("report", "model.h5", "--out", "m.html", "--json").stdout)
    assert told == {"file": "m.html", "parts": 1, "left_out": []}
    assert (tmp_path / "m.html").exists()


@pytest.mark.usefixtures("no_checkout")
def test_report_looks_through_runs_if_nothing_is_named_and_says_what_it_leaves_out(run_nnx, tmp_path):
    (tmp_path / "runs").mkdir()
    whole = save_trained(tmp_path / "runs" / "a.h5").read_bytes()
    (tmp_path / "runs" / "b.h5").write_bytes(whole[:-100])
    result = run_nnx("report")
    assert (result.exit_code, result.stdout) == (0, "Report of 1 file: nnx-report.html\n")
    assert "left out: runs/b.h5: it is no HDF5 file, or damaged" in result.stderr


def test_report_without_names_in_a_source_checkout_shows_the_stored_benchmarks_and_nothing_else(
    run_nnx, tmp_path, monkeypatch
):
    drawing = load_benchmarks("report")["report"]
    monkeypatch.setattr(drawing, "parts", lambda _, level: [f"<h{level}>Speed</h{level}>"])  # it takes ten seconds
    result = run_nnx("report", "--json")
    told = json.loads(result.stdout)
    assert (result.exit_code, result.stderr, told["left_out"]) == (0, "", [])
    markup = (tmp_path / "nnx-report.html").read_text(encoding="utf-8")
    stored = (ROOT / "benchmarks" / "results").glob("*.json")
    shown = {path.name for path in stored if f">results/{path.name}</a>" in markup}
    assert "cpu.json" in shown
    assert "footprint.json" not in shown  # no round of benchmarks
    assert len(shown) == told["parts"]


@pytest.mark.usefixtures("no_checkout")
def test_the_report_of_an_experiment_is_not_overwritten_by_the_one_that_shows_it(run_nnx, tmp_path):
    write(experiment_reports.sample(), tmp_path)
    kept = (tmp_path / "report.html").read_bytes()
    for _ in range(2):
        assert run_nnx("report", ".").exit_code == 0
    assert (tmp_path / "report.html").read_bytes() == kept


@pytest.mark.usefixtures("no_checkout")
def test_benchmarks_without_a_source_checkout_are_refused_in_a_sentence(run_nnx, complaint, tmp_path):
    (tmp_path / "cpu.json").write_text('{"format": 1, "rounds": []}')
    result = run_nnx("report", "cpu.json")
    assert "The benchmarks are part of the source checkout" in complaint(result)
    assert result.exit_code == 1


@pytest.mark.parametrize(
    ("arguments", "code", "wrong"),
    [
        (("none.h5",), 2, "PATHS must exist, got 'none.h5'"),
        (("broken.h5",), 1, "broken.h5: it is neither HDF5 nor JSON"),
        (("cut.h5",), 1, "cut.h5: it is no HDF5 file, or damaged"),
        ((".", "--out", "no/such.html"), 2, "--out must lie in a folder that exists"),
        ((".", "--port", "80"), 2, "--port belongs to --serve"),
        ((".", "--serve", "--port", "99999"), 2, "--port must be a whole number from 0 to 65535, got '99999'"),
        ((".", "--serve", "--json"), 2, "--json tells what was written"),
    ],
)
def test_mistakes_are_told_in_one_line_and_nothing_is_written(run_nnx, complaint, tmp_path, arguments, code, wrong):
    (tmp_path / "broken.h5").write_text("no model")
    (tmp_path / "cut.h5").write_bytes(save_trained(tmp_path / "model.h5").read_bytes()[:-100])
    result = run_nnx("report", *arguments)
    assert wrong in complaint(result)
    assert result.exit_code == code
    assert not list(tmp_path.glob("*.html"))
