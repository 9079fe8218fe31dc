"""Which activation of the hidden units learns fastest."""

from __future__ import annotations

from collections.abc import Iterator

from nnx.experiments.cats import report as cats_report
from nnx.experiments.cats.common import QUANTITIES, SETTINGS, SOURCE, published, training
from nnx.experiments.cats.speed import halving
from nnx.experiments.experiment import Experiment, Picture, Results, Row

ROWS = (
    Row("sigmoid", training((4,), activation="sigmoid"), published(0.9713, 0.72, 0.65, 0.22)),
    Row("tanh", training((4,), activation="tanh"), published(0.9904, 0.72, 0.71, 0.05)),
    Row("ReLU", training((4,)), published(1.0, 0.72, 0.68, 0.06)),
)


def pictures(results: Results) -> Iterator[Picture]:
    """See `Experiment.pictures`."""
    return cats_report.pictures(ROWS, results)


def notes(results: Results) -> Iterator[str]:
    """See `Experiment.notes`."""
    return cats_report.notes(EXPERIMENT, results, halving)


EXPERIMENT = Experiment(
    name="cats-activation",
    title="Activations of the hidden units: sigmoid, tanh, ReLU",
    question=(
        "Does it matter what the hidden units make of their sums? The same network of 4 hidden units, its weights "
        "drawn as He et al. propose, is trained with three activations. The slope of the sigmoid is at most 1/4, "
        "that of the other two at most 1, so that less of the error arrives before it. Does it learn more slowly?"
    ),
    dataset="cats",
    settings={**SETTINGS, "hidden units": "4", "initial weights": "He"},
    rows=ROWS,
    quantities=QUANTITIES,
    source=SOURCE,
    pictures=pictures,
    notes=notes,
    seconds={"numba": 2.6, "numpy": 10.8},
)
