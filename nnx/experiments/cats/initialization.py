"""How the initial weights decide what 2500 steps of gradient descent come to."""

from __future__ import annotations

from collections.abc import Iterator

from nnx.experiments.cats import report as cats_report
from nnx.experiments.cats.common import QUANTITIES, SETTINGS, SOURCE, published, training
from nnx.experiments.cats.speed import halving
from nnx.experiments.experiment import Experiment, Picture, Results, Row

ROWS = (
    Row("zeros", training((4,), init="zeros"), published(0.6555, 0.34, 0.69, 0.64)),
    Row("normal x 0.01", training((4,), init="normal"), published(0.9809, 0.66, 0.69, 0.16)),
    Row("Xavier", training((4,), init="xavier"), published(1.0, 0.62, 0.68, 0.11)),
    Row("He", training((4,)), published(1.0, 0.72, 0.68, 0.06)),
)


def pictures(results: Results) -> Iterator[Picture]:
    """See `Experiment.pictures`."""
    return cats_report.pictures(ROWS, results)


def notes(results: Results) -> Iterator[str]:
    """See `Experiment.notes`."""
    return cats_report.notes(EXPERIMENT, results, halving)


EXPERIMENT = Experiment(
    name="cats-initialization",
    title="Initial weights: zeros, small, Xavier, He",
    question=(
        "Does it matter what the weights are before training? The same network of 4 hidden units is trained from "
        "four different beginnings. From zeros, all hidden units stay alike, and nothing but the output's bias "
        "learns. How low does the cost get from each, how soon, and how well are other photographs told?"
    ),
    dataset="cats",
    settings={**SETTINGS, "hidden units": "4", "activation": "ReLU"},
    rows=ROWS,
    quantities=QUANTITIES,
    source=SOURCE,
    pictures=pictures,
    notes=notes,
    seconds={"numba": 4.2, "numpy": 10.5},
)
