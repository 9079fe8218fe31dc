"""Steps to a given cost: counted where it was reached, left out where it was not, and told as such."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from nnx.datasets import Dataset
from nnx.experiments import pictures, training
from nnx.experiments.cats.optimization import (
    EPOCHS_TO,
    EXAMPLES,
    EXPERIMENT,
    STEPS,
    STEPS_TO,
    TARGET,
    TimedTraining,
    calmed,
    median_steps,
    notes,
    steps_per_epoch,
    time_to,
)
from nnx.experiments.result import Curve, Result
from nnx.experiments.summary import summarise
from nnx.experiments.training import AFTER, TEST, TRAIN, Training


@pytest.fixture
def photographs(monkeypatch: pytest.MonkeyPatch) -> Dataset:
    """A few small photographs in place of the real ones."""
    random = np.random.default_rng(1)
    y = np.arange(18) % 3 // 2
    x = (0.3 * y[:, None, None, None] + 0.7 * random.random((18, 6, 6, 3))).astype(np.float32)
    data = Dataset("cats", (x[:12], y[:12]), (x[12:], y[12:]), ("non-cat", "cat"))
    for module in (training, pictures):
        monkeypatch.setattr(module, "load", lambda _: data)
    return data


def made_up(steps: float | None, test: float = 0.7, after: float = 0.05) -> Result:
    """What a run that needed so many steps would have measured, None for one that never got there."""
    right = round(50 * test)
    counts = np.array([[10, 7], [50 - 17 - (right - 10) + (17 - 7 - 10), right - 10]])
    reached = {} if steps is None else {STEPS_TO: steps, EPOCHS_TO: steps / 4}
    return Result({TRAIN: 1.0, TEST: test, AFTER: after, **reached}, {}, {"confusions": counts})


@pytest.mark.parametrize(
    ("costs", "expected"),
    [
        ([0.7, 0.3, 0.2], {}),
        ([0.7, 0.3, 0.1], {EPOCHS_TO: 2, STEPS_TO: 8}),  # just the target is enough
        ([0.7, 0.05, 0.4, 0.05], {EPOCHS_TO: 1, STEPS_TO: 4}),  # the first time counts
        ([0.05, 0.04], {EPOCHS_TO: 0, STEPS_TO: 0}),
        ([math.nextafter(0.1, 1)], {}),
    ],
)
def test_the_target_is_met_at_the_first_cost_at_or_below_it_or_never(costs, expected):
    assert time_to(0.1, costs, 4) == expected


def test_all_rows_have_the_same_number_of_steps_though_batches_differ():
    for row in EXPERIMENT.rows:
        assert row.settings.epochs * steps_per_epoch(row.settings, EXAMPLES) == STEPS


@pytest.mark.usefixtures("photographs")
def test_each_row_adds_to_the_one_before_it_and_all_run_and_are_drawn():
    pytest.importorskip("matplotlib")
    assert [row.name for row in EXPERIMENT.rows] == [
        *("plain", "mini-batch", "momentum", "RMSprop", "Adam", "+ batch norm", "+ L2", "+ dropout")
    ]
    results = {row.name: [replace(row.settings, epochs=2).run(0, "numpy")] for row in EXPERIMENT.rows}
    assert len(summarise(EXPERIMENT, results)) == 8
    assert all(isinstance(note, str) for note in EXPERIMENT.notes(results))
    names = [picture.name for picture in EXPERIMENT.pictures(results)]
    assert names == ["cost-optimizers", "cost-additions", "accuracies", "confusions", "mistakes"]


@pytest.mark.usefixtures("photographs")
def test_costs_are_those_of_the_network_and_not_of_what_it_is_trained_with(backend_name):
    options = {"hidden": (5, 3), "dropout": 0.4, "l2": 5.0, "epochs": 3, "batch_size": 5}
    timed = TimedTraining("cats", **options).run(1, backend_name)
    plain = Training("cats", **options).run(1, backend_name)
    assert timed.figures[AFTER] == timed.curves["cost"].values[-1] == pytest.approx(plain.figures[AFTER], rel=1e-6)
    assert {name: timed.figures[name] for name in (TRAIN, TEST)} == {
        name: plain.figures[name] for name in (TRAIN, TEST)
    }
    without = TimedTraining("cats", **{**options, "l2": 0.0}).run(1, backend_name)
    assert timed.curves["cost"].values[0] == without.curves["cost"].values[0]


def test_runs_that_never_reach_the_target_are_counted_and_not_hidden():
    results = {"plain": [made_up(1800.0), made_up(None), made_up(2000.0)], "Adam": [made_up(400.0)] * 3}
    told = " ".join(notes(results))
    assert f"Runs that do not reach this cost within {STEPS} steps: 1 of 3 of 'plain'. The table shows" in told
    assert f"The fewest steps to a training cost of {TARGET}, 400, are those of 'Adam' (medians)." in told
    assert "'Adam' 400 after 2000 of 'plain'" in told
    plain = summarise(EXPERIMENT, results)[0]
    cell = next(cell for cell in plain.cells if cell.quantity.name == STEPS_TO)
    assert (cell.low, cell.high) == (1800, 2000)


@pytest.mark.parametrize("count", [1, 2, 3, 51, 52, 250])
def test_calmed_curves_keep_their_beginning_and_lose_their_jumps(count):
    jumping = Curve(list(range(count)), [9.0] + [100.0 if step % 9 == 4 else 1.0 for step in range(1, count)])
    steps, values = calmed(jumping, 4)
    assert (steps[0], values[0]) == (0, 9.0)
    assert all(later > earlier for earlier, later in pairwise(steps))
    assert steps[-1] <= 4 * (count - 1)
    assert len(steps) == len(values) == min(count, 51)
    assert count < 250 or set(values[1:]) == {1.0}


def test_runs_that_reach_the_target_and_leave_it_again_are_told():
    results = {"plain": [made_up(1800.0), made_up(None, after=0.3)], "RMSprop": [made_up(8.0, after=0.2)] * 2}
    told = " ".join(notes(results))
    assert "some end above it again: 2 of 2 of 'RMSprop'." in told


def test_where_most_runs_never_reach_it_the_median_is_said_to_be_beyond_the_end():
    results = {"plain": [made_up(None), made_up(None), made_up(8.0)], "mini-batch": [made_up(None)] * 3}
    assert median_steps(results["plain"]) == math.inf
    told = " ".join(notes(results))
    assert "more than" not in told  # neither of the two arrives: nothing to compare
    assert "fewest" not in told
    assert "inf" not in told


def test_optimizers_and_what_is_added_to_adam_are_two_lists():
    results = {"plain": [made_up(None)], "Adam": [made_up(400.0)], "+ L2": [made_up(200.0)]}
    told = " ".join(notes(results))
    assert f"by optimizer, at learning rates of their own: 'Adam' 400 after more than {STEPS} of 'plain'." in told
    assert "by what is added to Adam: '+ L2' 200 after 400 of 'Adam'." in told
    assert "median" not in told  # of single runs
