"""Every picture can be read: no text is small, cut off or covered, whatever the names and numbers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from matplotlib.figure import Figure
from support.pictures import check_readable

from nnx import plots

LONG = "regularised by dropout at a rate of 0.5 in every hidden layer, and none of it in the input"
WORD = "Donaudampfschifffahrtsgesellschaftskapitänsmütze"
RNG = np.random.default_rng(5)


def decay(rate: float, steps: int = 60) -> tuple[list[int], list[float]]:
    return list(range(steps)), [0.7 * float(np.exp(-rate * step)) for step in range(steps)]


def history() -> Figure:
    loss, accuracy = [0.7, 0.5, 0.01, 0.004], [0.5, 0.9, 1.0, 1.0]
    measured = {"loss": loss, "val_loss": loss[::-1], "accuracy": accuracy, "val_accuracy": accuracy}
    return plots.history(measured, title=f"{LONG}: {WORD}")


def one_epoch() -> Figure:
    return plots.history({"loss": [0.5], "accuracy": [1.0]})


def nine_curves() -> Figure:
    curves = {f"{index} {LONG}": [decay(0.02 * index), decay(0.03 * index, 40)] for index in range(9)}
    return plots.learning_curves(curves, published=dict.fromkeys(curves, 0.06), quantity="cost", title=LONG)


def many_decades() -> Figure:
    return plots.learning_curves({"a": [([0, 1e6], [1e-100, 1e100])]}, across="step")


def hardly_any_range() -> Figure:
    return plots.learning_curves({"a": [([0, 1], [0.69, 0.7])]}, logarithmic=True, quantity=LONG[:60])


def tiny_values() -> Figure:
    return plots.learning_curves({"a": [([0.0, 0.5], [-1e-9, 3e-9])]}, title="Tiny")


def twelve_groups() -> Figure:
    names = ("train accuracy", "validation accuracy", "test accuracy")
    measured = {f"{index} {LONG} {WORD}": {name: RNG.uniform(0, 1, 3) for name in names} for index in range(12)}
    return plots.accuracy_bars(measured, published={group: {names[0]: 1.0, names[1]: 0.0} for group in measured})


def one_bar() -> Figure:
    return plots.accuracy_bars({"a": {"x": 1.0}}, published={"a": {"x": 0.0}})


def eight_histograms() -> Figure:
    layers = {f"layer {index}": RNG.normal(5, 10.0**-index, size=(9, 9)) for index in range(7)}
    return plots.weight_histograms({"first": {**layers, f"{WORD} {LONG}": [0.0]}, LONG: layers}, title="Weights")


def eight_differences() -> Figure:
    first = {f"{index}": np.zeros((900, 20)) for index in range(7)} | {LONG: np.zeros((1, 1))}
    second = {
        layer: 10.0 ** (3 * place) + RNG.normal(size=zero.shape)
        for place, (layer, zero) in enumerate(first.items())
    }
    return plots.weight_differences(first, second, title="Differences")


def one_difference() -> Figure:
    return plots.weight_differences({"a": [[1.0]]}, {"a": [[1.0]]}, title=LONG)


def two_classes() -> Figure:
    return plots.confusion_matrix([[16, 1], [6, 27]], ["no cat", "cat"], title=LONG)


def ten_classes() -> Figure:
    names = [WORD, LONG, *map(str, range(8))]
    return plots.confusion_matrix(RNG.integers(0, 10**6, (10, 10)), names, title="Ten")


def one_class() -> Figure:
    return plots.confusion_matrix([[3]], ["a"], title=WORD)


def grey_images() -> Figure:
    return plots.misclassified(RNG.random((30, 28, 28, 1)), [0] * 30, [1] * 30, [WORD, "a dog"], title=LONG)


def colour_images() -> Figure:
    return plots.misclassified(RNG.random((13, 64, 64, 3)), [0] * 13, [1] * 13, ["non-cat", "cat"])


def high_images() -> Figure:
    return plots.misclassified(RNG.random((7, 90, 9, 3)), [0] * 7, [1] * 7, ["a", "b"], title="High")


def no_images() -> Figure:
    return plots.misclassified(RNG.random((3, 8, 8, 1)), [0] * 3, [0] * 3, ["a", "b"], title=LONG)


PICTURES = (
    history, one_epoch, nine_curves, many_decades, hardly_any_range, tiny_values, twelve_groups, one_bar,
    eight_histograms, eight_differences, one_difference, two_classes, ten_classes, one_class, grey_images,
    colour_images, high_images, no_images,
)  # fmt: skip


@pytest.mark.parametrize("picture", PICTURES, ids=lambda picture: picture.__name__)
def test_no_text_is_small_cut_off_or_covered(picture: Callable[[], Figure]) -> None:
    check_readable(picture())


def test_the_check_notices_what_cannot_be_read() -> None:
    for words in ([(0.5, "one"), (0.51, "two")], [(0.99, "cut off at the right")]):
        figure = Figure()
        for place, text in words:
            figure.text(place, 0.5, text)
        with pytest.raises(AssertionError, match=r"overlap|cut off"):
            check_readable(figure)
