"""Runs of experiments: in one process or several, stopped and gone on with, failed and killed."""

from __future__ import annotations

import dataclasses
import math
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support.small_experiments import Killed, Refused, Toy, experiment

import nnx
from nnx.errors import OptionError, StorageError
from nnx.experiments import Experiment, Row
from nnx.experiments.execution.keeping import Kept
from nnx.experiments.execution.running import (
    ExperimentError,
    Outcome,
    Plan,
    carry_out,
    make_plan,
    rows_on,
)
from nnx.experiments.execution.workers import WorkerError

ENGINE = "generic:numpy"


@pytest.fixture
def plan(tmp_path: Path) -> Callable[..., Plan]:
    """Plan an experiment whose results are kept in the test's own folder."""

    def make(what: Experiment, seeds: int = 3) -> Plan:
        return make_plan(what, rows_on(what, ENGINE), ENGINE, seeds, Kept(tmp_path))

    return make


def scores(outcome: Outcome) -> dict[str, list[float]]:
    return {name: [result.figures["score"] for result in found] for name, found in outcome.results.items()}


@pytest.mark.parametrize("jobs", [1, 2])
def test_results_stand_in_the_order_of_rows_and_seeds_however_they_arrive(plan: Callable, jobs: int) -> None:
    slow_first = experiment({"slow": Toy(10.0, seconds=0.05), "quick": Toy(20.0)})
    ended = []
    outcome = carry_out(plan(slow_first), jobs, lambda run: ended.append((run.row.name, run.seed)))
    assert scores(outcome) == {"slow": [10.0, 11.0, 12.0], "quick": [20.0, 21.0, 22.0]}
    assert list(outcome.results) == ["slow", "quick"]
    assert outcome.failures == ()
    assert sorted(ended) == [(name, seed) for name in ("quick", "slow") for seed in range(3)]
    last = outcome.results["slow"][2]
    assert last.arrays["weights"].tolist() == [[2.0] * 3] * 2
    assert math.isnan(last.curves["cost"].values[0])


def test_what_was_kept_is_not_run_again_and_what_changed_is(plan: Callable, tmp_path: Path) -> None:
    log = tmp_path / "log"
    toy = experiment({"first": Toy(1.0, log=str(log)), "second": Toy(2.0, log=str(log))})
    carry_out(plan(toy, 2), 1)
    assert len(log.read_text().splitlines()) == 4

    more = plan(toy, 3)
    assert more.missing == 2
    outcome = carry_out(more, 1)
    assert len(log.read_text().splitlines()) == 6
    assert scores(outcome) == {"first": [1.0, 2.0, 3.0], "second": [2.0, 3.0, 4.0]}

    changed = dataclasses.replace(toy, rows=(Row("first", Toy(5.0, log=str(log))), toy.rows[1]))
    assert [found is None for found in plan(changed, 2).found] == [True, False, True, False]
    assert scores(carry_out(plan(changed, 2), 1))["first"] == [5.0, 6.0]
    assert plan(changed, 2).missing == 0
    assert plan(dataclasses.replace(toy, name="another"), 2).missing == 4


def test_an_upgrade_or_another_device_makes_kept_results_stale(
    plan: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy = experiment({"first": Toy()})
    carry_out(plan(toy), 1)
    assert plan(toy).missing == 0
    with monkeypatch.context() as patch:
        patch.setattr(nnx.experiments.execution.running, "__version__", "99.0")
        assert plan(toy).missing == 3
    with monkeypatch.context() as patch:
        patch.setattr(nnx.get_backend(ENGINE), "device", lambda: "another machine")
        assert plan(toy).missing == 3
    assert plan(dataclasses.replace(toy, dataset="digits")).missing == 3


def test_a_damaged_file_is_run_again(plan: Callable) -> None:
    toy = experiment({"first": Toy(1.0)})
    first = plan(toy)
    carry_out(first, 1)
    first.kept.path(first.runs[1].key).write_text("{")
    again = plan(toy)
    assert again.missing == 1
    assert scores(carry_out(again, 1)) == {"first": [1.0, 2.0, 3.0]}
    assert plan(toy).missing == 0


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_run_that_diverges_is_named_and_the_others_count(plan: Callable, jobs: int) -> None:
    toy = experiment({"good": Toy(1.0), "bad": Toy(2.0, failing=(1,))})
    outcome = carry_out(plan(toy), jobs)
    assert scores(outcome) == {"good": [1.0, 2.0, 3.0], "bad": [2.0, 4.0]}
    assert outcome.failures == ("bad, seed 1: The loss became nan in epoch 2.",)
    assert plan(toy).missing == 1
    for each in (outcome, carry_out(plan(toy), jobs)):  # the second time most of them come from their files
        seeds = {name: [result.seed for result in found] for name, found in each.results.items()}
        assert seeds == {"good": [0, 1, 2], "bad": [0, 2]}


def test_a_row_of_which_nothing_is_left_is_named_and_the_others_count(plan: Callable) -> None:
    toy = experiment({"good": Toy(), "bad": Toy(failing=(0, 1, 2))})
    outcome = carry_out(plan(toy), 1)
    assert list(outcome.results) == ["good"]
    assert outcome.lost == ("bad",)
    assert plan(toy).missing == 3


def test_a_result_without_what_the_row_is_compared_by_is_run_again(plan: Callable) -> None:
    carry_out(plan(experiment({"first": Toy()})), 1)
    assert plan(experiment([Row("first", Toy(), {"score": 1.0})])).missing == 0
    assert plan(experiment([Row("first", Toy(), {"score": 1.0, "height": 1.0})])).missing == 3


def test_an_error_that_cannot_be_sent_between_processes_is_still_a_sentence(plan: Callable) -> None:
    outcome = carry_out(plan(experiment({"a": Toy()})), 2)
    assert len(outcome.results["a"]) == 3
    with pytest.raises(
        ExperimentError, match=r"Every run failed.* a, seed 0: Unknown activation 'rely'. Did you mean 'relu'"
    ):
        carry_out(plan(experiment({"a": Refused()})), 2)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system kills processes in another way")
def test_a_worker_that_the_system_kills_is_one_sentence_that_says_what_to_do(plan: Callable) -> None:
    with pytest.raises(WorkerError, match=r"the memory is used up. .* with a smaller --jobs than 2") as caught:
        carry_out(plan(experiment({"doomed": Killed()})), 2)
    assert "\n" not in str(caught.value)
    assert len(carry_out(plan(experiment({"fine": Toy()})), 2).results["fine"]) == 3  # new processes come


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_full_disk_ends_the_runs_with_one_sentence(
    plan: Callable, monkeypatch: pytest.MonkeyPatch, jobs: int
) -> None:
    def full(*_: object) -> None:
        raise StorageError("No space left on device")

    monkeypatch.setattr(Kept, "keep", full)
    before = time.monotonic()
    with pytest.raises(StorageError, match="No space left"):
        carry_out(plan(experiment({"quick": Toy(), "slow": Toy(seconds=30.0)})), jobs)
    assert time.monotonic() - before < 25  # the slow runs were ended, not waited for


def test_rows_about_engines_run_where_those_are_asked_for_or_here() -> None:
    rows = [Row("loop", Toy()), Row("numpy", Toy(), backend="numpy"), Row("cupy", Toy(), backend="cupy")]
    mixed = experiment(rows)
    here = [row.name for row in rows if row.backend is None or nnx.registry.describe(row.backend).available]
    assert [row.name for row in rows_on(mixed, None)] == here
    assert [row.name for row in rows_on(mixed, "numpy")] == ["loop", "numpy"]
    assert [row.name for row in rows_on(mixed, "numba")] == ["loop"]
    with pytest.raises(OptionError, match=r"--backend must be one of cupy, numpy for toy, .* got 'numba'"):
        rows_on(experiment(rows[1:]), "numba")
