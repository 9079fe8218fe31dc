"""What an L2 penalty does to the digits' network, and how large it must be before it does anything."""

from __future__ import annotations

from collections.abc import Iterator

from nnx.experiments.choosing import median
from nnx.experiments.experiment import Experiment, Picture, Results, Row
from nnx.experiments.mnist import report as mnist_report
from nnx.experiments.mnist.common import (
    BATCH_SIZE,
    LEARNING_RATE,
    MOST_EPOCHS,
    NO_RISE,
    QUANTITIES,
    SEEDS,
    SETTINGS,
    SOURCE,
    VALIDATION,
    Digits,
    published,
)
from nnx.experiments.mnist.report import present
from nnx.experiments.sentences import listed, points
from nnx.experiments.training import TRAIN

PUBLISHED = published(1.0, 0.979, 0.974, 103)
LAMBDA = 0.1
AS_PUBLISHED, NONE, ALL = f"lambda {LAMBDA}, stopped as published", "lambda 0", f"lambda {LAMBDA}"
LARGER = {"lambda 1": 1.0, "lambda 10": 10.0}
MATTERS = 0.01
"""A penalty matters if the median gap of training and validation accuracy is so much smaller than without it."""

ROWS = (
    Row(AS_PUBLISHED, Digits(l2=LAMBDA, stopping=NO_RISE), PUBLISHED),
    Row(NONE, Digits()),
    Row(ALL, Digits(l2=LAMBDA), PUBLISHED),
    *(Row(name, Digits(l2=value)) for name, value in LARGER.items()),
)


def pictures(results: Results) -> Iterator[Picture]:
    """See `Experiment.pictures`; the mistakes are those of the published penalty, trained to the end."""
    return mnist_report.pictures(ROWS, results, ALL)


def notes(results: Results) -> Iterator[str]:
    """See `Experiment.notes`."""
    yield from mnist_report.standing(EXPERIMENT, results)
    yield from mnist_report.stopped(results, (AS_PUBLISHED,))
    yield from mnist_report.ceiling(results, (AS_PUBLISHED, ALL), PUBLISHED[VALIDATION])
    yield how_small()
    yield from where_it_matters(results)


def how_small() -> str:
    """Say what the published penalty takes from a weight."""
    share = LEARNING_RATE * LAMBDA / BATCH_SIZE
    return (
        f"The penalty of a batch of m = {BATCH_SIZE} examples is lambda / (2 m) times the sum of the squared "
        f"weights: a step with lambda = {LAMBDA} takes {100 * share:.5f} % from every weight."
    )


def gap(results: Results, row: str) -> float:
    """Return how much higher the median accuracy on the training part is than on the validation part."""
    return median(results, row, TRAIN) - median(results, row, VALIDATION)


def where_it_matters(results: Results) -> Iterator[str]:
    """Say how the gap of training and validation accuracy goes with lambda, and from which lambda it shrinks."""
    penalties = present((ALL, *LARGER), results)
    if not results.get(NONE) or not penalties:
        return
    without = gap(results, NONE)
    gaps = listed(f"{points(gap(results, row), 1)} with '{row}'" for row in penalties)
    yield (
        f"After {MOST_EPOCHS} epochs, the median accuracy on the training part is {points(without, 1)} above that "
        f"on the validation part without a penalty; {gaps}. The validation accuracies themselves: "
        f"{mnist_report.medians(results, (NONE, *penalties))}."
    )
    matter = [row for row in penalties if without - gap(results, row) >= MATTERS]
    if matter:
        yield f"The gap is smaller by {points(MATTERS, 1)} or more from '{matter[0]}' on."
    else:
        yield f"No lambda here makes the gap smaller by {points(MATTERS, 1)}."


EXPERIMENT = Experiment(
    name="mnist-l2",
    title="An L2 penalty on the digits' weights: from none to far too much",
    question=(
        "Does a penalty on large weights help? The network of mnist-baseline is trained with the published "
        "lambda = 0.1, stopped as published and to the end, without any penalty, and with ten and a hundred times "
        "as much, to see where it begins to matter."
    ),
    dataset="mnist",
    settings={**SETTINGS, "penalty": "lambda / (2 m) times the sum of the squared weights, m examples in a batch"},
    rows=ROWS,
    quantities=QUANTITIES,
    source=SOURCE,
    pictures=pictures,
    notes=notes,
    seeds=SEEDS,
    seconds={"numba": 22.1},
)
