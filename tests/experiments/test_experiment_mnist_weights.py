"""Networks with and without L2 are compared from one and the same beginning, and judged by what was measured."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from nnx.experiments.experiment import Results
from nnx.experiments.mnist import weights as mnist_weights
from nnx.experiments.mnist.weights import (
    NORM,
    PUBLISHED,
    STRONG,
    WITHOUT,
    Weighed,
    difference,
    flat,
    nearer,
    notes,
    pairs,
    weights_of,
)
from nnx.experiments.result import Result
from nnx.experiments.training import TEST
from nnx.optimizers import SGD

SMALL = {"dataset": "digits", "hidden": (6,), "optimizer": SGD(0.1), "epochs": 2, "batch_size": 64}


def weighed(l2: float, seed: int = 1) -> Result:
    return replace(Weighed(**SMALL, l2=l2).run(seed, "numpy"), seed=seed)


def test_hardly_any_l2_hardly_changes_weights_so_both_networks_begin_and_are_fed_alike() -> None:
    assert difference(weighed(1e-4), weighed(0.0)) < 1e-3  # from another seed, it would be about 1.4


def test_much_l2_brings_weights_nearer_to_zero() -> None:
    without, strong = weighed(0.0), weighed(30.0)
    assert strong.figures[NORM] < 0.8 * without.figures[NORM]
    assert strong.figures[NORM] == pytest.approx(np.linalg.norm(flat(strong)))
    assert nearer(strong, without) > 0.6
    apart = np.linalg.norm(flat(strong) - flat(without))
    assert difference(strong, without) == pytest.approx(apart / without.figures[NORM])


def test_runs_are_compared_with_those_of_their_seed_though_some_failed() -> None:
    without, strong = ([made_up(0.9, seed) for seed in seeds] for seeds in ((0, 2, 3), (1, 2, 3)))
    measured = {WITHOUT: without, STRONG: strong}
    assert [(ours.seed, theirs.seed) for ours, theirs in pairs(measured, STRONG)] == [(2, 2), (3, 3)]
    assert not list(notes({STRONG: strong}))
    assert not list(notes({WITHOUT: without[:1], STRONG: strong[:1]}))  # no seed in common


def test_weights_are_kept_by_layer_and_survive_being_written_as_json() -> None:
    result = weighed(0.0)
    read = Result.from_json(json.loads(json.dumps(result.to_json())))
    assert {layer: array.shape for layer, array in weights_of(read).items()} == {
        "layer 1": (64, 6),
        "layer 2": (6, 10),
    }
    for layer, array in weights_of(result).items():
        np.testing.assert_array_equal(weights_of(read)[layer], array)


def made_up(accuracy: float, seed: int, weight: float = 1.0) -> Result:
    kept = {"weights of layer 1": np.array([[weight, 2.0], [-3.0, 0.5]])}
    return Result({TEST: accuracy}, arrays=kept, seed=seed)


def results(accuracy: float) -> Results:
    without = [made_up(value, seed) for seed, value in enumerate((0.90, 0.92))]
    return {WITHOUT: without, PUBLISHED: [made_up(accuracy + 0.02 * seed, seed, 0.5) for seed in (0, 1)]}


@pytest.mark.parametrize(("accuracy", "subtle"), [(0.91, True), (0.89, True), (0.95, False), (0.85, False)])
def test_effect_is_subtle_if_seeds_alone_make_a_larger_difference(accuracy: float, subtle: bool) -> None:
    sentence = list(notes(results(accuracy)))[-1]
    assert ("the effect is subtle" in sentence) == subtle
    assert f"changes by {100 * (accuracy - 0.9):+.1f} points" in sentence


def test_shares_are_written_as_everywhere_else() -> None:
    said = next(notes(results(0.9)))
    assert "25 % of them are nearer to 0, where chance alone would make it 50 %." in said


def test_one_seed_says_nothing_of_chance() -> None:
    *_, said = notes({row: runs[:1] for row, runs in results(0.95).items()})
    assert "changes by +5.0 points; one seed does not say" in said
    assert "subtle" not in said


def test_pictures_show_every_layer_with_and_without() -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed: pictures cannot be drawn")
    measured = {WITHOUT: [weighed(0.0)], PUBLISHED: [weighed(0.1)], STRONG: [weighed(10.0)]}
    pictures = {picture.name: picture.figure for picture in mnist_weights.pictures(measured)}
    strengths = [f"{kind}-{name}" for name in ("published", "strong") for kind in ("weights", "differences")]
    assert list(pictures) == [*strengths, "accuracies"]
    assert [axes.get_title() for axes in pictures["weights-strong"].axes] == ["layer 1", "layer 2"]
