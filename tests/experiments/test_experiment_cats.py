"""The experiments on the photographs of cats: what was published, what runs, and what dies."""

from __future__ import annotations

import os
from dataclasses import replace

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

import nnx
from nnx.datasets import Dataset
from nnx.experiments import pictures, training
from nnx.experiments.cats import activation as cats_activation
from nnx.experiments.cats import architecture as cats_architecture
from nnx.experiments.cats import common as cats
from nnx.experiments.cats import initialization as cats_initialization
from nnx.experiments.cats.dead_units import (
    BLOCKED,
    DEAD_AFTER,
    DEAD_BEFORE,
    DEAD_LAYERS,
    WatchedTraining,
)
from nnx.experiments.cats.speed import halving
from nnx.experiments.hidden import dead_share, hidden_zeros
from nnx.experiments.result import Curve, Result
from nnx.experiments.training import AFTER, BEFORE, SECONDS, TEST, TRAIN, Training

EXPERIMENTS = [module.EXPERIMENT for module in (cats_initialization, cats_activation, cats_architecture)]
FAST = "numba" if nnx.registry.describe("numba").available else "numpy"

PUBLISHED = {
    "cats-initialization": {
        "zeros": "65.55/34/0.69/0.64",
        "normal x 0.01": "98.09/66/0.69/0.16",
        "Xavier": "100/62/0.68/0.11",
        "He": "100/72/0.68/0.06",
    },
    "cats-activation": {
        "sigmoid": "97.13/72/0.65/0.22",
        "tanh": "99.04/72/0.71/0.05",
        "ReLU": "100/72/0.68/0.06",
    },
    "cats-architecture": {
        "shallow (4)": "100/70/0.68/0.05",
        "deep (4-4-4)": "98.09/56/0.68/0.10",
        "deep with tanh": "",
        "deep with leaky ReLU": "",
        "wide (20)": "100/78/0.69/0.01",
        "deep and wide (20-7-5)": "100/80/1.21/0.08",
    },
}
"""train % / test % / cost before / cost after, as published."""


@pytest.fixture
def photographs(monkeypatch: pytest.MonkeyPatch) -> Dataset:
    """A few small photographs in place of the real ones, two thirds of them without a cat."""
    random = np.random.default_rng(1)
    y = np.arange(18) % 3 // 2
    x = (0.3 * y[:, None, None, None] + 0.7 * random.random((18, 6, 6, 3))).astype(np.float32)
    data = Dataset("cats", (x[:12], y[:12]), (x[12:], y[12:]), ("non-cat", "cat"))
    for module in (training, pictures):
        monkeypatch.setattr(module, "load", lambda _: data)
    return data


@pytest.mark.parametrize("experiment", EXPERIMENTS, ids=lambda experiment: experiment.name)
def test_published_values_are_those_of_the_tables(experiment):
    rows = {row.name: dict(row.published) for row in experiment.rows}
    expected = {}
    for name, values in PUBLISHED[experiment.name].items():
        train, test, before, after = map(float, values.split("/")) if values else (None,) * 4
        expected[name] = {TRAIN: train / 100, TEST: test / 100, BEFORE: before, AFTER: after} if values else {}
    assert list(rows) == list(expected)
    for name in rows:
        assert rows[name] == pytest.approx(expected[name], abs=1e-12)


@pytest.mark.usefixtures("photographs")
@pytest.mark.parametrize("experiment", EXPERIMENTS, ids=lambda experiment: experiment.name)
def test_every_row_runs_on_every_backend_and_its_report_is_drawn_and_written(experiment, backend_name):
    results = {
        row.name: [replace(row.settings, epochs=3).run(seed, backend_name) for seed in (0, 1)]
        for row in experiment.rows
    }
    shown = {quantity.name for quantity in experiment.quantities}
    assert all(shown <= run.figures.keys() for runs in results.values() for run in runs)
    names = [picture.name for picture in experiment.pictures(results)]
    shared, dying = {"cost-curves", "accuracies", "confusions", "mistakes"}, {"cost-curves-deep", "dead-units"}
    assert set(names) == (shared | dying if experiment.name == "cats-architecture" else shared)
    assert len(set(names)) == len(names)
    said = list(experiment.notes(results))
    count = sum(len(row.published) for row in experiment.rows)
    assert any(sentence.endswith(f" of {count}.") for sentence in said if sentence.startswith("Published values"))
    assert said[0].startswith(f"The highest median {TEST}")


@pytest.mark.parametrize("experiment", EXPERIMENTS, ids=lambda experiment: experiment.name)
def test_rows_are_trained_as_published(experiment):
    for row in experiment.rows:
        settings = row.settings
        assert (settings.epochs, settings.batch_size, settings.l2) == (2500, "full", 0.0)
        assert settings.optimizer == nnx.SGD(0.0075)


@pytest.mark.usefixtures("photographs")
def test_from_zeros_only_the_bias_of_the_output_learns(backend_name):
    settings = replace(cats_initialization.ROWS[0].settings, epochs=50)
    data = training.load("cats")
    model = settings.network(2, data.train[0].shape[1:], 0, backend_name)
    result = settings.measure(model, data)
    learned = {name for name, values in model.get_weights().items() if values.any()}
    assert learned == {"2.bias"}
    assert not result.arrays["predictions"].any()


@pytest.mark.usefixtures("photographs")
def test_counting_dead_units_changes_nothing_about_training(backend_name):
    plain = Training("cats", (3, 2), epochs=5)
    watched = WatchedTraining("cats", (3, 2), epochs=5)
    first, second = (settings.run(0, backend_name) for settings in (plain, watched))
    counted = {DEAD_BEFORE, DEAD_AFTER, DEAD_LAYERS, BLOCKED}
    assert second.figures.keys() - first.figures.keys() == counted
    assert all(first.figures[name] == second.figures[name] for name in first.figures if name != SECONDS)
    assert repr(plain) != repr(watched)  # a kept result of one is not taken for one of the other


def test_units_are_dead_if_zero_for_all_examples_and_examples_blocked_if_zero_in_a_layer(backend_name):
    model = nnx.Sequential(
        [nnx.Flatten(), nnx.Dense(2, "relu"), nnx.Dense(2, "relu"), nnx.Dense(1)],
        backend=backend_name,
        input_shape=(1,),
    )
    model.set_weights({"1.weight": [[1, -1]], "1.bias": [0, -9], "2.weight": [[1, 0], [0, 1]], "2.bias": [-2, -1]})
    x = np.array([[1], [3], [-1]], np.float32)  # first layer 1, 3, 0 and nothing; second 0, 1, 0 and nothing
    first, second = hidden_zeros(model, x)
    assert first.tolist() == [[False, True], [False, True], [True, True]]
    assert second.tolist() == [[True, True], [False, True], [True, True]]
    assert dead_share([first, second]) == 0.5
    assert dead_share([first[:1], second[:1]]) == 0.75


@pytest.mark.usefixtures("photographs")
def test_a_layer_of_dead_units_blocks_every_photograph_and_leaky_units_never_die(backend_name, photographs):
    figures = {}
    for activation in ("relu", "leaky_relu", "tanh"):
        settings = WatchedTraining("cats", (4, 4), activation, epochs=2)
        model = settings.network(2, photographs.train[0].shape[1:], 0, backend_name)
        model.set_weights({"2.bias": np.full(4, -100.0)})
        figures[activation] = settings.measure(model, photographs).figures
    assert figures["relu"][DEAD_LAYERS] == 1
    assert figures["relu"][BLOCKED] == 1
    assert figures["relu"][DEAD_AFTER] >= 0.5
    for activation in ("leaky_relu", "tanh"):
        assert figures[activation][DEAD_AFTER] == figures[activation][BLOCKED] == 0


def _deep(test, predictions, layers, blocked, cost=0.1):
    figures = {TEST: test, TRAIN: 1.0, BEFORE: 0.7, AFTER: cost, DEAD_BEFORE: 0.25, DEAD_AFTER: 0.5}
    counts = np.diag(predictions)
    return Result({**figures, DEAD_LAYERS: layers, BLOCKED: blocked}, arrays={"confusions": counts})


def test_notes_count_the_runs_that_died_and_what_the_remedies_change():
    results = {
        cats_architecture.DEEP: [
            _deep(0.34, [50, 0], 1, 1.0),
            _deep(0.34, [50, 0], 0, 0.99),
            _deep(0.7, [20, 30], 0, 0.3),
        ],
        cats_architecture.DEEP_TANH: [_deep(0.7, [20, 30], 0, 0.0)],
        cats_architecture.DEEP_LEAKY: [_deep(0.34, [50, 0], 0, 0.0, 0.64), _deep(0.70, [20, 30], 0, 0.0)],
    }
    said = " ".join(cats_architecture.notes(results))
    assert "25 % of the hidden units of 'deep (4-4-4)' are zero for every training photograph before" in said
    assert "50 % after it." in said
    assert (
        "Of the runs of 'deep (4-4-4)' that say the same of every test photograph, 1 of 2 ended with all units of "
        "a layer dead; 99 % to 100 % of the training photographs are blocked in them."
    ) in said
    assert (
        "With 'deep with tanh', 50 % of the units are dead after training (medians); median test accuracy against "
        "'deep (4-4-4)': +36 points."
    ) in said
    assert "1 of 2, the cost is 0.70 before training and 0.64 after it." in said
    assert "a gain of over 20 points was published; it is more than that in 67 % of all pairs" in said


def _with_cost(seed, *values):
    result = _deep(0.7, [20, 30], 0, 0.0)
    return replace(result, curves={"cost": Curve([0, 10, 20, 30], values)}, seed=seed)


def test_how_soon_the_cost_is_halved_answers_which_row_learns_more_slowly():
    results = {
        "sigmoid": [_with_cost(0, 0.8, 0.7, 0.6, 0.4)],
        "tanh": [_with_cost(seed, 0.7, 0.3, 0.8, 0.1) for seed in (0, 2)],
        "ReLU": [_with_cost(0, 0.7, 0.6, 0.5, 0.4), _with_cost(2, 0.7, 0.2, 0.1, 0.1)],
    }
    first, never = halving(results)
    assert "the fastest first (medians): 10 of 'tanh' and 30 of 'sigmoid'. The cost is looked at every 10." in first
    assert never.endswith("never half of that before training: 'ReLU'.")


def test_notes_say_nothing_of_rows_that_were_not_run():
    results = {"shallow (4)": [_deep(0.7, [20, 30], 0, 0.0)]}
    assert "deep" not in " ".join(cats_architecture.notes(results))


def test_published_values_name_the_four_quantities_in_their_own_scale():
    assert cats.published(0.5, 0.25, 0.7, 0.1) == {TRAIN: 0.5, TEST: 0.25, BEFORE: 0.7, AFTER: 0.1}


@pytest.mark.skipif(not os.environ.get("NNX_DATA"), reason="NNX_DATA is not set: the photographs cannot be read")
def test_an_eighth_of_the_training_learns_more_of_the_real_photographs_than_to_say_always_cat():
    settings = replace(cats_initialization.ROWS[3].settings, epochs=cats.ITERATIONS // 8)
    with threadpool_limits(1):  # two threads of BLAS that wait for each other on a busy machine take minutes
        result = settings.run(0, FAST)
    blind = result.arrays["confusions"][1].sum() / result.arrays["confusions"].sum()
    assert blind == 0.66
    assert result.figures[TEST] > blind
    assert result.figures[AFTER] < 0.7 * result.figures[BEFORE]
