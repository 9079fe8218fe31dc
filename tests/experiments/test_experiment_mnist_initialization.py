"""Networks that cannot learn are measured and told apart from those that are merely steady."""

from __future__ import annotations

import numpy as np
import pytest

import nnx
from nnx.experiments.hidden import blocked_share, hidden_zeros
from nnx.experiments.mnist import initialization as mnist_initialization
from nnx.experiments.mnist.common import VALIDATION
from nnx.experiments.mnist.initialization import DIVERGED, LOST_AFTER, LOST_BEFORE, ROWS, FromWeights, notes
from nnx.experiments.result import Curve, Result
from nnx.experiments.training import TEST, TRAIN
from nnx.optimizers import SGD

UNIFORM, NORMAL, HE = (row.name for row in ROWS)
SMALL = {"dataset": "digits", "hidden": (6,), "epochs": 1, "batch_size": 64}


def run(accuracy: float, answers: int, diverged: float = 0.0) -> Result:
    counts = np.zeros((10, 10), np.int64)
    counts[:, :answers] = 1
    accuracies = {TRAIN: accuracy, VALIDATION: accuracy, TEST: accuracy}
    curve = Curve([0, 1], [accuracy, accuracy])
    curves = {} if diverged else {"cost": curve, VALIDATION: curve}
    return Result({**accuracies, LOST_AFTER: 0.5, DIVERGED: diverged}, curves, {"confusions": counts})


def test_training_that_diverges_is_measured_as_it_was_left() -> None:
    figures = FromWeights(**SMALL, optimizer=SGD(1e30)).run(0, "numpy").figures
    assert figures[DIVERGED] == 1
    assert all(0 <= figures[name] <= 1 for name in (TRAIN, VALIDATION, TEST, LOST_AFTER))


def test_training_that_ends_did_not_diverge() -> None:
    assert FromWeights(**SMALL).run(0, "numpy").figures[DIVERGED] == 0


def test_images_are_lost_to_units_that_are_zero_and_only_to_all_of_a_hidden_layer(backend_name: str) -> None:
    layers = [nnx.Dense(2, "relu"), nnx.Dense(3)]
    model = nnx.Sequential(layers, input_shape=(1,), backend=backend_name)
    weights = model.get_weights()
    first, last = (name for name in weights if name.endswith("weight"))
    model.set_weights({**weights, first: np.array([[1.0, 2.0]]), last: np.zeros((2, 3))})  # outputs are no units
    assert blocked_share(hidden_zeros(model, np.array([[-1.0], [0.0], [1.0], [2.0]]))) == 0.5
    model.set_weights({**weights, first: np.array([[1.0, -1.0]])})
    assert blocked_share(hidden_zeros(model, np.array([[-1.0], [1.0], [2.0]]))) == 0


def test_a_network_that_says_one_thing_is_not_praised_for_being_steady() -> None:
    measured = {UNIFORM: [run(0.1, 1)] * 2, NORMAL: [run(0.1, 3), run(0.3, 3)], HE: [run(0.92, 10), run(0.93, 10)]}
    said = list(notes(measured))
    assert f"Most stable: '{UNIFORM}', but only since all runs say the same to every image." in said
    assert f"Most stable, of those with a run that tells images apart: '{HE}'." in said


def test_stability_is_the_range_of_the_test_accuracy() -> None:
    measured = {NORMAL: [run(0.50, 10), run(0.51, 10)], HE: [run(0.90, 10), run(0.95, 10)]}
    assert f"Most stable: '{NORMAL}'." in list(notes(measured))
    alike = {NORMAL: [run(0.50, 10), run(0.51, 10)], HE: [run(0.90, 10), run(0.91, 10)]}
    assert f"Most stable: '{NORMAL}' and '{HE}'." in list(notes(alike))


def test_of_single_runs_nothing_is_said_of_stability_nor_of_medians() -> None:
    said = " ".join(notes({NORMAL: [run(0.5, 10)], HE: [run(0.9, 10)]}))
    assert "stable" not in said
    assert "median" not in said
    one = " ".join(notes({NORMAL: [run(0.5, 10)], HE: [run(0.9, 10), run(0.8, 10)]}))
    assert f"Most stable: '{HE}'." in one


def test_runs_that_diverged_are_counted_and_left_out_of_the_curves_alone() -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed: pictures cannot be drawn")
    measured = {UNIFORM: [run(0.1, 1, diverged=1.0)], HE: [run(0.8, 10, diverged=1.0), run(0.9, 10)]}
    assert f"Runs that diverged: 1 of 1 from '{UNIFORM}' and 1 of 2 from '{HE}'." in list(notes(measured))
    *_, bars = pictures = list(mnist_initialization.pictures(measured))
    assert [label.get_text() for label in bars.figure.axes[0].get_yticklabels()] == [UNIFORM, HE]
    assert len(pictures) == 3


def test_nothing_is_drawn_over_the_epochs_if_all_runs_diverged() -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed: pictures cannot be drawn")
    measured = {UNIFORM: [run(0.1, 1, diverged=1.0)]}
    assert [picture.name for picture in mnist_initialization.pictures(measured)] == ["accuracies"]


def test_he_leaves_more_images_to_learn_from_than_zeros() -> None:
    he, zeros = (FromWeights(**SMALL, init=init).run(0, "numpy").figures for init in ("he", "zeros"))
    assert zeros[LOST_BEFORE] == 1 > 0.1 > he[LOST_BEFORE]
