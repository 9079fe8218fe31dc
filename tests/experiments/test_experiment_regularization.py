"""The gap between training and test accuracy: measured without disturbing training, and told as measured."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest

from nnx.datasets import Dataset
from nnx.experiments import pictures, training
from nnx.experiments.cats import regularization as cats_regularization
from nnx.experiments.cats.regularization import EXPERIMENT, LAMBDAS, NONE, RATES, notes
from nnx.experiments.result import Result
from nnx.experiments.summary import summarise
from nnx.experiments.tracking import COST, GAP, TEST_COST, TrackedTraining
from nnx.experiments.training import AFTER, BEFORE, SECONDS, TEST, TRAIN, Training
from nnx.measurement import Measurement

OPTIONS = {"hidden": (5, 3), "batch_norm": True, "dropout": 0.3, "l2": 1.0, "epochs": 7, "batch_size": 5}


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


def made_up(train: float, test: float, test_cost: float = 0.5, seed: int = 0) -> Result:
    """What a run of these accuracies would have measured, on 50 test photographs of which 33 show a cat."""
    right = round(50 * test)
    counts = np.array([[right // 3, 17 - right // 3], [50 - 17 - (right - right // 3), right - right // 3]])
    figures = {TRAIN: train, TEST: test, GAP: train - test, TEST_COST: test_cost}
    return Result(figures, {}, {"confusions": counts}, seed)


@pytest.mark.usefixtures("photographs")
def test_measuring_on_the_way_changes_nothing_of_what_is_learned(backend_name):
    plain = Training("cats", **OPTIONS).run(3, backend_name)
    tracked = TrackedTraining("cats", **OPTIONS, period=2).run(3, backend_name)
    for name in (TRAIN, TEST, BEFORE, AFTER):
        assert tracked.figures[name] == plain.figures[name]
    assert np.array_equal(tracked.arrays["predictions"], plain.arrays["predictions"])


@pytest.mark.usefixtures("photographs")
def test_costs_leave_out_the_penalty_so_that_rows_with_and_without_it_compare():
    with_penalty, without = (
        TrackedTraining("cats", (4,), l2=l2, epochs=1).run(0, "numpy").figures[BEFORE] for l2 in (1e6, 0.0)
    )
    assert with_penalty == without


@pytest.mark.usefixtures("photographs")
def test_both_costs_are_measured_every_so_often_and_after_the_last_epoch():
    result = TrackedTraining("cats", (4,), epochs=7, period=3).run(0, "numpy")
    for name, last in ((COST, AFTER), (TEST_COST, TEST_COST)):
        assert result.curves[name].steps == [0, 3, 6, 7]
        assert result.curves[name].values[-1] == result.figures[last]
    assert result.figures[GAP] == result.figures[TRAIN] - result.figures[TEST]


@pytest.mark.usefixtures("photographs")
def test_the_time_of_measuring_is_not_counted_as_training(monkeypatch):
    measure = Measurement.measure

    def slow(measurement):
        time.sleep(0.3)
        return measure(measurement)

    monkeypatch.setattr(Measurement, "measure", slow)
    start = time.perf_counter()
    figures = TrackedTraining("cats", (4,), epochs=2, period=1).run(0, "numpy").figures
    assert figures[SECONDS] < time.perf_counter() - start - 6 * 0.3


@pytest.mark.usefixtures("photographs")
def test_every_setting_runs_and_its_report_is_drawn():
    pytest.importorskip("matplotlib")
    rows = [replace(row, settings=replace(row.settings, epochs=2)) for row in EXPERIMENT.rows]
    results = {row.name: [row.settings.run(seed, "numpy") for seed in range(2)] for row in rows}
    for line in summarise(EXPERIMENT, results):
        assert [cell.quantity for cell in line.cells] == list(EXPERIMENT.quantities)
    assert all(isinstance(note, str) for note in EXPERIMENT.notes(results))
    names = [picture.name for picture in EXPERIMENT.pictures(results)]
    assert len(set(names)) == len(names) == 7


def test_rows_are_what_their_names_say():
    settings = {row.name: row.settings for row in EXPERIMENT.rows}
    for name, factor in LAMBDAS.items():
        assert (settings[name].l2, settings[name].dropout) == (factor, 0)
    for name, rate in RATES.items():
        assert (settings[name].l2, settings[name].dropout) == (0, rate)
    assert all(row.epochs == 3000 and row.hidden == (20, 7, 5) for row in settings.values())


def test_a_gap_closed_by_worse_training_is_not_sold_as_better_testing():
    results = {NONE: [made_up(1.0, 0.7)] * 3, "L2 30": [made_up(0.8, 0.6)] * 3, "L2 3": [made_up(1.0, 0.72)] * 3}
    told = " ".join(notes(results))
    assert "the median gap, training less test accuracy, is 30.0 points" in told
    assert "with a smaller one: 2 of 2; of these, also with a higher median test accuracy: 1." in told
    assert "20.0 points, is that of 'L2 30': against 'none', its median test accuracy is -10.0 points" in told
    assert "its median train accuracy -20.0" in told


def test_the_best_setting_is_told_with_its_range_and_seed_by_seed():
    plain = [made_up(1.0, test, seed=seed) for seed, test in enumerate((0.60, 0.70, 0.80))]
    better = [made_up(1.0, test, 0.4, seed) for seed, test in enumerate((0.66, 0.72, 0.70))]
    told = " ".join(notes({"L2 3": better, NONE: plain}))
    # a tie is no lead, whichever row comes first
    assert "No setting has a higher median test accuracy than 'none', 70 % (60 % to 80 %)" in told
    told = " ".join(notes({NONE: plain, "L2 3": [*better[:2], made_up(1.0, 0.80, 0.4, 2)]}))
    assert "'L2 3' has a median test accuracy of 72 % (66 % to 80 %), 'none' of 70 % (60 % to 80 %)" in told
    assert "Seeds from which both have a run: 3; it is better in 2, equal in 1, worse in 0." in told
    assert "The lowest median test cost, 0.40, is that of 'L2 3'; it is 0.50 with 'none'" in told


def test_where_a_run_failed_its_seed_is_left_out_of_pairs_and_of_the_sweep():
    pytest.importorskip("matplotlib")
    plain = [made_up(1.0, test, seed=seed) for seed, test in enumerate((0.60, 0.70, 0.80))]
    failed = [made_up(1.0, 0.74, seed=2), made_up(1.0, 0.76, seed=3)]
    told = " ".join(notes({NONE: plain, "L2 3": failed}))
    assert "Seeds from which both have a run: 1; it is better in 0, equal in 0, worse in 1." in told
    (picture,) = cats_regularization.sweep({NONE: plain, "L2 3": failed}, LAMBDAS, "lambda", "sweep", "Sweep")
    assert [list(line.get_ydata()) for line in picture.figure.axes[0].get_lines()] == [[1.0, 1.0], [0.80, 0.74]]
    assert "single run" in picture.caption
    nothing = {NONE: plain, "L2 3": failed[1:]}
    assert not list(cats_regularization.sweep(nothing, LAMBDAS, "lambda", "sweep", "Sweep"))
    assert "have a run: 0" in " ".join(notes(nothing))


@pytest.mark.parametrize("rows", [[NONE], ["L2 3"]])
def test_a_single_row_is_compared_with_nothing(rows):
    told = " ".join(notes({row: [made_up(1.0, 0.7)] for row in rows}))
    assert "gap" not in told


def test_pictures_need_no_row_but_one(photographs):
    pytest.importorskip("matplotlib")
    row = next(row for row in EXPERIMENT.rows if row.name == "both, 3 and 0.1")
    results = {row.name: [replace(row.settings, epochs=2).run(0, "numpy")]}
    names = [picture.name for picture in cats_regularization.pictures(results)]
    assert names == ["accuracies", "confusions", "mistakes"]
    assert photographs.classes == ("non-cat", "cat")
