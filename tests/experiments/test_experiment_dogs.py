"""Logistic regression on cats and dogs: its splits, what it keeps, and what it says of luck."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nnx.datasets import Dataset
from nnx.experiments import training
from nnx.experiments.cats import dogs_logistic as cats_dogs_logistic
from nnx.experiments.cats.dogs_logistic import COST_AT, EXPERIMENT, NAME, ROWS, WEIGHTS, notes, split
from nnx.experiments.result import Curve, Result
from nnx.experiments.tracking import COST, TEST_COST
from nnx.experiments.training import SECONDS, TEST, TRAIN


@pytest.fixture
def data(monkeypatch: pytest.MonkeyPatch) -> Dataset:
    """A few small pictures in place of the real ones, each with its number in its first value."""
    x = np.random.default_rng(1).random((20, 4, 4, 3)).astype(np.float32)
    x[:, 0, 0, 0] = np.arange(20) / 20
    y = np.arange(20) % 2
    found = Dataset("cats_vs_dogs", (x[:16], y[:16]), (x[16:], y[16:]), ("cat", "dog"))
    for module in (training, cats_dogs_logistic):
        monkeypatch.setattr(module, "load", lambda _: found)
    return found


def numbers(part) -> list[int]:
    return [round(20 * float(value)) for value in part[0][:, 0, 0, 0]]


def made_up(test: float, test_costs: tuple[float, ...] = (0.69, 0.66, 0.75), seed: int = 0) -> Result:
    """What a run of this test accuracy on 200 pictures would have measured."""
    right = round(200 * test)
    counts = np.array([[right // 2, 100 - right // 2], [100 - (right - right // 2), right - right // 2]])
    curves = {TEST_COST: Curve([0, 300, 600], list(test_costs))}
    figures = {TRAIN: 0.87, TEST: test, COST_AT: 0.41, TEST_COST: test_costs[-1], SECONDS: 1.0}
    return Result(figures, curves, {"confusions": counts}, seed)


def test_published_values_are_those_of_the_source():
    assert ROWS[0].published == {COST_AT: 0.397, TRAIN: 0.861, TEST: 0.595}
    settings = ROWS[0].settings
    assert (settings.epochs, settings.optimizer.learning_rate, settings.hidden) == (10_000, 0.001, ())


def test_the_first_split_is_that_of_the_file(data):
    assert split(data, 0) is data


def test_a_drawn_split_shares_no_picture_between_its_parts_and_loses_none(data):
    drawn = split(data, 1)
    assert sorted(numbers(drawn.train) + numbers(drawn.test)) == list(range(20))
    assert len(drawn.train[1]) == 16
    for x, y in drawn:
        assert [number % 2 for number in numbers((x, y))] == y.tolist()  # each picture has kept its label


def test_the_seed_decides_the_split(data):
    assert numbers(split(data, 1).test) == numbers(split(data, 1).test)
    assert len({tuple(numbers(split(data, seed).test)) for seed in range(6)}) > 3


def test_a_run_keeps_its_weights_in_the_shape_of_a_picture_and_reads_back(data, backend_name):
    result = replace(ROWS[0].settings, epochs=3, period=2).run(1, backend_name)
    assert result.arrays[WEIGHTS].shape == (4, 4, 3)
    assert np.abs(result.arrays[WEIGHTS]).max() > 0
    assert COST_AT not in result.figures  # there were not so many iterations
    assert result.curves[COST].steps == [0, 2, 3]
    again = Result.from_json(result.to_json())
    assert np.array_equal(again.arrays[WEIGHTS], result.arrays[WEIGHTS])
    assert len(split(data, 1).test[1]) == len(result.arrays["predictions"])


@pytest.mark.usefixtures("data")
def test_the_cost_of_the_published_iteration_is_taken_from_that_iteration(monkeypatch):
    monkeypatch.setattr(cats_dogs_logistic, "PUBLISHED_AT", 4)
    longer = replace(ROWS[0].settings, epochs=6, period=2).run(0, "numpy")
    shorter = replace(ROWS[0].settings, epochs=4, period=2).run(0, "numpy")
    assert longer.figures[COST_AT] == shorter.curves[COST].values[-1]


def test_the_published_iteration_is_among_those_measured():
    assert cats_dogs_logistic.PUBLISHED_AT % ROWS[0].settings.period == 0


@pytest.mark.usefixtures("data")
def test_the_report_shows_the_pictures_of_the_split_that_was_tested(monkeypatch):
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(cats_dogs_logistic, "PUBLISHED_AT", 4)
    settings = replace(ROWS[0].settings, epochs=4, period=2)
    # the run of seed 1 failed: those of 2 and 3 have other places than seeds
    runs = [replace(settings.run(seed, "numpy"), seed=seed) for seed in (0, 2, 3)]
    drawn = {picture.name: picture for picture in EXPERIMENT.pictures({NAME: runs})}
    assert list(drawn) == ["cost-curves", "accuracies", "confusions", "mistakes", "weights"]
    caption = drawn["mistakes"].caption
    seed = int(caption.split("from seed ")[1].split(",")[0].split(":")[0])
    labels = split(training.load(""), seed).test[1]
    said = next(run for run in runs if run.seed == seed).arrays["predictions"]
    assert f"It told {(labels != said).sum()} of 4 " in caption


def test_a_test_accuracy_within_luck_of_guessing_is_said_to_be():
    told = " ".join(notes({NAME: [made_up(0.495), made_up(0.56, seed=1), made_up(0.595, seed=2)]}))
    assert "up to 57 % by luck (two standard deviations); runs above that: 1 of 3" in told
    assert "Test accuracy by split: 49.5 % on that of the file (seed 0) and 56.0 % to 59.5 % on drawn ones" in told


def test_the_split_of_the_file_is_known_by_its_seed_and_one_drawn_split_has_no_range():
    told = " ".join(notes({NAME: [made_up(0.56, seed=3)]}))
    assert "Test accuracy by split: 56.0 % on drawn ones (1 run)." in told


def test_overfitting_is_told_from_the_test_cost():
    told = " ".join(notes({NAME: [made_up(0.56)]}))
    assert "is lowest, 0.660, after 300 iterations, and 0.750 after the last;" in told
    assert "median" not in told
