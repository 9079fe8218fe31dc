"""Networks with and without L2 are compared from one and the same beginning, and judged by what was measured."""

from __future__ import annotations

import json

import numpy as np
import pytest

from nnx.experiments.experiment import Results
from nnx.experiments.mnist import weights as mnist_weights
from nnx.experiments.mnist.weights import (
    DIFFERENCE,
    NEARER,
    NORM,
    PUBLISHED,
    STRONG,
    WITHOUT,
    Weighed,
    flat,
    notes,
    weights_of,
)
from nnx.experiments.result import Result
from nnx.experiments.training import TEST
from nnx.optimizers import SGD

SMALL = {"dataset": "digits", "hidden": (6,), "optimizer": SGD(0.1), "epochs": 2, "batch_size": 64}


def weighed(l2: float) -> Result:
    return Weighed(**SMALL, l2=l2).run(1, "numpy")


def test_hardly_any_l2_hardly_changes_weights_so_both_networks_begin_and_are_fed_alike() -> None:
    assert weighed(1e-4).figures[DIFFERENCE] < 1e-3  # from another seed, it would be about 1.4


def test_much_l2_brings_weights_nearer_to_zero() -> None:
    without, strong = weighed(0.0), weighed(30.0)
    assert strong.figures[NORM] < 0.8 * without.figures[NORM]
    assert strong.figures[NEARER] > 0.6
    difference = flat(strong) - flat(without)
    assert strong.figures[DIFFERENCE] == pytest.approx(np.linalg.norm(difference) / without.figures[NORM])


def test_the_network_without_l2_is_compared_with_nothing() -> None:
    assert not {DIFFERENCE, NEARER} & set(weighed(0.0).figures)


def test_weights_are_kept_by_layer_and_survive_being_written_as_json() -> None:
    result = weighed(0.0)
    read = Result.from_json(json.loads(json.dumps(result.to_json())))
    assert {layer: array.shape for layer, array in weights_of(read).items()} == {
        "layer 1": (64, 6),
        "layer 2": (6, 10),
    }
    for layer, array in weights_of(result).items():
        np.testing.assert_array_equal(weights_of(read)[layer], array)


def results(accuracy: float) -> Results:
    without = [Result({TEST: value}) for value in (0.90, 0.92)]
    changed = [Result({TEST: value, DIFFERENCE: 0.2, NEARER: 0.7}) for value in (accuracy, accuracy + 0.02)]
    return {WITHOUT: without, PUBLISHED: changed}


@pytest.mark.parametrize(("accuracy", "subtle"), [(0.91, True), (0.89, True), (0.95, False), (0.85, False)])
def test_effect_is_subtle_if_seeds_alone_make_a_larger_difference(accuracy: float, subtle: bool) -> None:
    sentence = list(notes(results(accuracy)))[-1]
    assert ("is subtle" in sentence) == subtle
    assert f"changes by {100 * (accuracy - 0.9):+.1f} points" in sentence


def test_pictures_show_every_layer_with_and_without() -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed: pictures cannot be drawn")
    measured = {WITHOUT: [weighed(0.0)], PUBLISHED: [weighed(0.1)], STRONG: [weighed(10.0)]}
    pictures = {picture.name: picture.figure for picture in mnist_weights.pictures(measured)}
    strengths = [f"{kind}-{name}" for name in ("published", "strong") for kind in ("weights", "differences")]
    assert list(pictures) == [*strengths, "accuracies"]
    assert [axes.get_title() for axes in pictures["weights-strong"].axes] == ["layer 1", "layer 2"]
