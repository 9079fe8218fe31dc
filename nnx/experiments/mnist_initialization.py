"""How the initial weights decide whether a network learns to read digits at all."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnx.datasets import Dataset, info
from nnx.errors import DivergenceError
from nnx.experiments import sentences
from nnx.experiments.choosing import measured
from nnx.experiments.dead_units import DEAD_AFTER, DEAD_BEFORE, dead_units
from nnx.experiments.experiment import Experiment, Picture, Quantity, Results, Row
from nnx.experiments.mnist import MOST_EPOCHS, QUANTITIES, SETTINGS, SOURCE, VALIDATION, Digits, divided
from nnx.experiments.pictures import accuracies, curves
from nnx.experiments.result import Result
from nnx.experiments.training import TEST, TRAIN, confusions
from nnx.model import Sequential

EPOCHS = 50
DIVERGED = "diverged"
ACCURACIES = QUANTITIES[:3]
TEST_ACCURACY = ACCURACIES[2]


@dataclass(frozen=True)
class FromWeights(Digits):
    """Training that counts dead units, and for which to diverge is a result: what is left then is measured.

    `Result.figures` holds, besides those of `Digits`, 1 if training diverged and 0 if not.
    """

    epochs: int = EPOCHS

    def measure(self, model: Sequential, data: Dataset) -> Result:
        """See `Training.measure`."""
        x, _ = data.train
        before = dead_share(model, x)
        try:
            result, diverged = super().measure(model, data), 0.0
        except DivergenceError:
            result, diverged = self.left(model, data), 1.0
        figures = {DEAD_BEFORE: before, DEAD_AFTER: dead_share(model, x), DIVERGED: diverged}
        return replace(result, figures={**result.figures, **figures})

    def left(self, model: Sequential, data: Dataset) -> Result:
        """Measure the model that `fit` left as it was before the step that diverged."""
        (x, y), held_out = divided(data.train, self.validation_split, model.seed)
        x_test, y_test = data.test
        figures = {
            TRAIN: model.evaluate(x, y)["accuracy"],
            VALIDATION: model.evaluate(*held_out)["accuracy"],
            TEST: model.evaluate(x_test, y_test)["accuracy"],
        }
        return Result(figures, arrays=confusions(y_test, model.predict_classes(x_test), len(data.classes)))


def dead_share(model: Sequential, x: NDArray[Any]) -> float:
    """Return which share of all hidden units are zero for all examples x (N, ...)."""
    return float(np.concatenate(dead_units(model, x)).mean())


def pictures(results: Results) -> Iterator[Picture]:
    """Draw costs and validation accuracies of the runs that came to their end, and the accuracies of all."""
    whole = {row: [run for run in runs if VALIDATION in run.curves] for row, runs in results.items()}
    ended = {row: runs for row, runs in whole.items() if runs}
    if ended:
        yield curves(ROWS, ended, "cost", title="Cost while training")
        yield curves(ROWS, ended, VALIDATION, title="Validation accuracy while training")
    yield accuracies(ROWS, results, (TRAIN, VALIDATION, TEST))


def notes(results: Results) -> Iterator[str]:
    """Say which weights are best and which most stable, and what became of the units."""
    yield from sentences.best(results, TEST_ACCURACY)
    yield from _stability(results)
    yield from sentences.one_answer(results, info("mnist").classes)
    for quantity, moment in ((DEAD_BEFORE, "before"), (DEAD_AFTER, "after")):
        dead = [f"{statistics.median(measured(results, row, quantity)):.0%} from {row}" for row in results]
        yield (
            f"Hidden units that are dead {moment} training, zero for every image trained on, as medians: "
            f"{sentences.listed(dead)}."
        )
    diverged = [f"{sum(measured(results, row, DIVERGED)):.0f} of {len(results[row])} from {row}" for row in results]
    yield f"Runs that diverged: {sentences.listed(diverged)}."


def _stability(results: Results) -> Iterator[str]:
    """Compare the ranges over the seeds: a network that says one thing whatever it sees is stable, but no use."""
    spreads = {row: _spread(measured(results, row, TEST)) for row in results}
    shown = [f"{TEST_ACCURACY.show(spread)} from {row}" for row, spread in spreads.items()]
    yield f"From the lowest to the highest seed, the {TEST} differs by {sentences.listed(shown)}."
    useless = {row for row, runs in results.items() if all(map(sentences.always_alike, runs))}
    steadiest = min(spreads, key=spreads.__getitem__)
    if steadiest in useless:
        yield f"{steadiest} is the most stable, but only since all its runs say the same to every image."
    learning = [row for row in spreads if row not in useless]
    if learning:
        among = " of those with a run that tells images apart" if useless else ""
        yield f"The most stable{among} is {min(learning, key=spreads.__getitem__)}."


def _spread(values: Sequence[float]) -> float:
    return max(values) - min(values)


ROWS = (
    Row("uniform [0, 1]", FromWeights(init="uniform")),
    Row("standard normal", FromWeights(init="standard_normal")),
    Row("He", FromWeights()),
)

EXPERIMENT = Experiment(
    name="mnist-initialization",
    title="Initial weights of a network on digits: uniform, standard normal, He",
    question=(
        "Which initial weights let a network of four layers learn, and learn alike from every seed? Published was "
        "that He's do best and are the most stable. They are normal, too, but the smaller the more inputs a unit "
        "has, so that sums are neither too large nor too small for the next layer. The other two take no heed of "
        "that: of 784 inputs, the sums of the first layer are already far too large."
    ),
    dataset="mnist",
    settings={
        **{name: value for name, value in SETTINGS.items() if name != "initial weights"},
        "epochs": f"{EPOCHS}; published were up to {MOST_EPOCHS}",
    },
    rows=ROWS,
    quantities=(
        *ACCURACIES,
        Quantity(DEAD_BEFORE, 0, 100, " %", "low"),
        Quantity(DEAD_AFTER, 0, 100, " %", "low"),
        QUANTITIES[-1],
    ),
    source=SOURCE,
    pictures=pictures,
    notes=notes,
    seeds=5,
)
