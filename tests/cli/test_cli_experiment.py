import json
import os
from dataclasses import replace

import pytest
from support.small_experiments import REPORTS, RUN, Toy, files

from nnx import datasets
from nnx.experiments import EXPERIMENTS, Row
from nnx.experiments.execution import duration
from nnx.experiments.execution.locking import LOCK
from nnx.experiments.experiment import Settings


def test_list_shows_every_experiment_its_data_and_its_runs(run_nnx, offer):
    offer(seeds=7)
    listed = {entry["name"]: entry for entry in json.loads(run_nnx("experiment", "list", "--json").stdout)}
    assert list(listed) == list(EXPERIMENTS)
    assert listed["toy"] == {
        "name": "toy",
        "title": "A toy",
        "dataset": None,
        "rows": ["first", "second"],
        "seeds": 7,
        "source": "Nowhere.",
        "seconds of a run": {},
    }
    lines = run_nnx("experiment", "list").stdout.splitlines()
    assert [line.split()[0] for line in lines[2:]] == list(EXPERIMENTS)
    assert lines[-1].split() == ["toy", "A", "toy", "none", "2", "x", "7"]


def test_list_says_about_how_long_an_experiment_takes_if_that_was_measured(run_nnx, offer, monkeypatch):
    monkeypatch.setattr(duration, "cores", lambda: 2)
    shown = {}
    for seconds, shares, alone in ((4.0, 1, False), (4.0, 1, True), (40.0, 30, False), (0.01, 1, False)):
        offer(seconds={"numba": seconds}, seeds=10 * shares, alone=alone)
        result = run_nnx("experiment", "list")
        shown[seconds, alone] = " ".join(result.stdout.splitlines()[-1].split()[-2:])
        assert result.stderr.startswith("Times: on numba with all cores of this machine")
    # of two rows: 20 runs of 4 s, two at a time or one by one; 600 of 40 s; 20 that take no time
    assert shown == {(4.0, False): "1 min", (4.0, True): "2 min", (40.0, False): "200 min", (0.01, False): "1 min"}
    for found in list(EXPERIMENTS.values())[:-1]:
        assert duration.whole(found)


def test_a_run_says_at_once_what_it_runs_and_about_how_long_that_takes(run_nnx, offer):
    offer(seconds={"generic:numpy": 30.0})
    first = run_nnx(*RUN, "--seeds", "2")
    assert first.stderr.splitlines()[0] == "toy on generic:numpy: 4 runs of 2 rows x 2 seeds: about 2 min"
    offer()  # not measured on this engine
    second = run_nnx(*RUN, "--seeds", "3")
    assert second.stderr.splitlines()[1] == "toy on generic:numpy: 2 runs of 2 rows x 3 seeds"
    assert "toy on" not in run_nnx(*RUN, "--seeds", "3").stderr
    offer({"first": Toy(1.0)})
    single = run_nnx(*RUN, "--seeds", "1", "--out", "single")
    assert single.stderr.splitlines()[0] == "toy on generic:numpy: 1 run of 1 row x 1 seed"


@pytest.mark.parametrize(("finished", "kept"), [(0, "0 of 6"), (3, "3 of 6")])
def test_an_interrupt_says_what_is_kept_where_and_how_to_go_on(run_nnx, offer, monkeypatch, finished, kept):
    offer()
    run, count = Toy.run, iter(range(100))

    def interrupted(self, *given):
        if next(count) == finished:
            raise KeyboardInterrupt
        return run(self, *given)

    with monkeypatch.context() as patch:
        patch.setattr(Toy, "run", interrupted)
        result = run_nnx(*RUN)
    assert result.exit_code == 130
    told = f"interrupted: {kept} runs are kept in 'runs/toy/runs'; the same command goes on with the others"
    assert result.stderr.splitlines()[-1] == told
    again = run_nnx(*RUN)
    assert again.exit_code == 0
    assert (f"{kept} runs were kept from before" in again.stderr) == (finished > 0)


def test_every_experiment_has_data_that_nnx_knows_and_rows_of_their_own_names():
    for name, found in EXPERIMENTS.items():
        assert found.name == name
        assert found.dataset is None or found.dataset in datasets.names()
        assert len({row.name for row in found.rows}) == len(found.rows)


def test_the_table_shows_median_range_and_what_was_published_and_where_the_report_is(run_nnx, offer, tmp_path):
    offer(notes=lambda results: [f"The first scored {results['first'][0].figures['score']}."])
    result = run_nnx(*RUN)
    assert result.exit_code == 0
    table = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert "first score 2.0 (1.0 to 3.0) published 1.0: within the range" in table
    assert "second score 3.0 (2.0 to 4.0) published 1.0: better here" in table
    assert "The first scored 1.0." in result.stdout
    assert result.stdout.splitlines()[-1].startswith("Report: runs/toy/report.html")
    assert files(tmp_path / "runs" / "toy") == REPORTS
    assert len(files(tmp_path / "runs" / "toy" / "runs") - {LOCK}) == 6


def test_output_fits_a_narrow_terminal(run_nnx, offer, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    offer()
    result = run_nnx(*RUN)
    assert max(map(len, result.stdout.splitlines())) <= 80


def test_json_is_alone_on_stdout_and_equals_the_file(run_nnx, offer, tmp_path):
    offer()
    result = run_nnx(*RUN, "--json", "--out", "there", "--seeds", "2")
    report = json.loads(result.stdout)
    assert report == json.loads((tmp_path / "there" / "report.json").read_text())
    assert report["rows"][1]["cells"]["score"]["values"] == [2.0, 3.0]
    assert "Report: there/report.html" in result.stderr
    command = report["provenance"]["command"]
    assert command == "nnx experiment run toy --backend generic:numpy --seeds 2 --jobs 1 --out there"


def test_the_command_of_the_report_makes_the_same_report(run_nnx, offer):
    offer()
    first = json.loads(run_nnx("experiment", "run", "toy", "--seeds", "2", "--json").stdout)
    words = first["provenance"]["command"].split()
    again = json.loads(run_nnx(*words[1:], "--json", "--out", "again").stdout)
    assert again["rows"] == first["rows"]


def test_a_second_run_goes_on_where_the_first_stopped_and_says_so(run_nnx, offer, tmp_path):
    log = tmp_path / "log"
    offer({"first": Toy(1.0, log=str(log))})
    first = run_nnx(*RUN, "--seeds", "2")
    assert "kept from before" not in first.stderr
    second = run_nnx(*RUN, "--seeds", "5")
    assert "2 of 5 runs were kept from before; to run them again, remove 'runs/toy/runs' first." in second.stderr
    assert len(log.read_text().splitlines()) == 5
    assert "3.0 (1.0 to 5.0)" in second.stdout
    made_by = json.loads((tmp_path / "runs" / "toy" / "report.json").read_text())["provenance"]
    assert made_by["jobs"] == "1"
    third = run_nnx(*RUN, "--seeds", "5")
    assert third.stderr.startswith("5 of 5 runs were kept from before")
    assert third.stdout == second.stdout
    assert len(log.read_text().splitlines()) == 5


def test_a_run_that_diverges_is_told_in_the_report_and_by_the_exit_code(run_nnx, offer, tmp_path):
    offer({"first": Toy(1.0, failing=(1,))})
    result = run_nnx(*RUN)
    sentence = "1 of 3 runs failed and are left out. first, seed 1: The loss became nan in epoch 2."
    assert result.exit_code == 1
    assert f"error: {sentence}" in result.stderr.splitlines()
    assert "2.0 (1.0 to 3.0)" in result.stdout
    assert sentence in result.stdout
    assert sentence in json.loads((tmp_path / "runs" / "toy" / "report.json").read_text())["notes"]


def test_a_row_that_wholly_failed_leaves_the_report_of_the_others_and_is_named_in_it(run_nnx, offer, tmp_path):
    offer({"first": Toy(1.0), "second": Toy(failing=(0, 1, 2))})
    result = run_nnx(*RUN)
    sentence = "3 of 6 runs failed and are left out, and with them all of 'second'. second, seed 0: The loss"
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1].startswith(f"error: {sentence}")
    report = json.loads((tmp_path / "runs" / "toy" / "report.json").read_text())
    assert [row["name"] for row in report["rows"]] == ["first"]
    assert report["notes"][-1].startswith(sentence)


def test_an_error_in_a_note_is_not_hidden(run_nnx, offer):
    offer(notes=lambda results: [str(results["third"])])
    assert isinstance(run_nnx(*RUN).exception, KeyError)


def test_of_many_failures_only_some_are_named(run_nnx, offer):
    offer({"first": Toy(1.0, failing=tuple(range(1, 40)))})
    error = run_nnx(*RUN, "--seeds", "40").stderr.splitlines()[-1]
    assert error.startswith("error: 39 of 40 runs failed and are left out. first, seed 1: ")
    assert error.endswith("and 36 more.")
    assert error.count("The loss became nan") == 3


def test_rows_about_engines_are_run_on_them_and_the_report_can_be_made_again(run_nnx, offer):
    offer([Row("loop", Toy()), Row("other", Toy(1.0), backend="generic:numpy")])
    report = json.loads(run_nnx("experiment", "run", "toy", "--json", "--jobs", "1").stdout)
    assert [row["name"] for row in report["rows"]] == ["loop", "other"]
    assert report["provenance"]["command"] == "nnx experiment run toy --seeds 3 --jobs 1"
    report = json.loads(run_nnx("experiment", "run", "toy", "--backend", "numpy", "--json", "--jobs", "1").stdout)
    assert [row["name"] for row in report["rows"]] == ["loop"]
    assert "--backend numpy" in report["provenance"]["command"]


def test_an_experiment_of_cats_runs_and_is_reported(run_nnx, monkeypatch):
    if not os.environ.get("NNX_DATA"):
        pytest.skip("NNX_DATA is not set: the photographs cannot be read")
    found = EXPERIMENTS["cats-initialization"]
    rows = tuple(replace(row, settings=replace(row.settings, epochs=3)) for row in found.rows)
    monkeypatch.setitem(EXPERIMENTS, found.name, replace(found, rows=rows))
    result = run_nnx("experiment", "run", "cats_initialization", "--seeds", "1", "--jobs", "1", "--json")
    assert result.exit_code == 0, result.stderr
    report = json.loads(result.stdout)
    assert [row["name"] for row in report["rows"]] == [row.name for row in rows]
    zeros = report["rows"][0]["cells"]
    assert zeros["cost before"]["shown"] == "0.69"  # log 2, whatever the pictures
    assert zeros["cost before"]["verdict"] == "within"


def test_settings_of_every_experiment_tell_all_their_options():
    """A kept result is taken for one of the same settings if these look the same."""
    for found in EXPERIMENTS.values():
        for row in found.rows:
            assert isinstance(row.settings, Settings)
            assert " at 0x" not in repr(row.settings)  # an address, which is another one in every process
