"""What L2 makes of the weights: the same network trained with it and without."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from nnx import plots
from nnx.experiments.choosing import measured
from nnx.experiments.experiment import Experiment, Picture, Quantity, Results, Row
from nnx.experiments.mnist.common import MOST_EPOCHS, QUANTITIES, SEEDS, SETTINGS, SOURCE, VALIDATION, Digits
from nnx.experiments.pictures import accuracies
from nnx.experiments.result import Result
from nnx.experiments.training import TEST, TRAIN
from nnx.model import Sequential

NORM, DIFFERENCE, NEARER = "norm of weights", "difference", "nearer to 0"
ACCURACIES = QUANTITIES[:3]
TEST_ACCURACY = ACCURACIES[2]
WITHOUT, PUBLISHED, STRONG = "without L2", "lambda 0.1", "lambda 10"
_KEPT = "weights of "

Layers: TypeAlias = Mapping[str, NDArray[Any]]
"""Weights by layer, (I, O) each."""


@dataclass(frozen=True)
class Weighed(Digits):
    """Training whose weights are kept, and compared with those of the same training without L2.

    `Result.figures` holds, besides those of `Digits`, the norm of all weights W, and, if there is L2,
    ||W - V|| / ||V||, V being those without it, and the share of weights that are nearer to 0 than without it.
    `Result.arrays` holds the weights of each Dense layer, (I, O).
    """

    def run(self, seed: int, backend: str) -> Result:
        """See `Settings.run`."""
        result = trained(self, seed, backend)
        weights = flat(result)
        figures = {NORM: float(np.linalg.norm(weights))}
        if self.l2:
            without = flat(trained(replace(self, l2=0.0), seed, backend))
            figures[DIFFERENCE] = float(np.linalg.norm(weights - without) / np.linalg.norm(without))
            figures[NEARER] = float((abs(weights) < abs(without)).mean())
        return replace(result, figures={**result.figures, **figures})

    def arrays(self, model: Sequential) -> Mapping[str, NDArray[Any]]:
        """See `Digits.arrays`."""
        kept = [values for name, values in model.get_weights().items() if name.endswith("weight")]
        return {f"{_KEPT}layer {number}": values for number, values in enumerate(kept, start=1)}


@lru_cache(maxsize=16)
def trained(settings: Weighed, seed: int, backend: str) -> Result:
    """Train as `Digits` does; the last ones are kept, since each row needs the network without L2."""
    return Digits.run(settings, seed, backend)


def weights_of(result: Result) -> Layers:
    """Return the weights that a result holds, by layer, (I, O) each."""
    return {name.removeprefix(_KEPT): values for name, values in result.arrays.items() if name.startswith(_KEPT)}


def flat(result: Result) -> NDArray[np.float64]:
    """Return all weights that a result holds, one after another."""
    return np.concatenate([values.ravel() for values in weights_of(result).values()]).astype(np.float64)


def pictures(results: Results) -> Iterator[Picture]:
    """Draw the weights of the first seed with published and with strong L2 beside those without; the accuracies."""
    first = {row: weights_of(runs[0]) for row, runs in results.items()}
    for row, name in ((PUBLISHED, "published"), (STRONG, "strong")):
        if row in first and WITHOUT in first:
            yield _distributions(first, row, name)
            yield _differences(first, row, name)
    yield accuracies(ROWS, results, (TRAIN, VALIDATION, TEST))


def _distributions(first: Mapping[str, Layers], row: str, name: str) -> Picture:
    title = f"Weights {WITHOUT} and with {row}"
    caption = "How the weights of each layer are distributed after training from seed 0."
    figure = plots.weight_histograms({label: first[label] for label in (WITHOUT, row)}, title=title)
    return Picture(f"weights-{name}", title, caption, figure)


def _differences(first: Mapping[str, Layers], row: str, name: str) -> Picture:
    title = f"What is different with {row}"
    caption = (
        f"Weights with {row} minus those without, after training from seed 0. A weight was raised where it is red, "
        "lowered where it is blue; each layer has a scale of its own."
    )
    figure = plots.weight_differences(first[WITHOUT], first[row], title=title)
    return Picture(f"differences-{name}", title, caption, figure)


def notes(results: Results) -> Iterator[str]:
    """Say what each strength of L2 does to the weights, and whether it shows in what the network can do."""
    for row in results:
        if row != WITHOUT:
            yield _on_weights(row, results)
            if WITHOUT in results:
                yield _on_accuracy(row, results)


def _on_weights(row: str, results: Results) -> str:
    difference, nearer = (statistics.median(measured(results, row, name)) for name in (DIFFERENCE, NEARER))
    return (
        f"{row}: in the median, the weights differ from those without L2 by {difference:.0%} of the norm of these, "
        f"and {nearer:.0%} of them are nearer to 0, where chance alone would make it 50%."
    )


def _on_accuracy(row: str, results: Results) -> str:
    """Compare from seed to seed: the effect is subtle if seeds alone make a larger difference."""
    without = measured(results, WITHOUT, TEST)
    change = statistics.median(
        ours - theirs for ours, theirs in zip(measured(results, row, TEST), without, strict=True)
    )
    spread = max(without) - min(without)
    verdict = "is subtle: no more than" if abs(change) <= spread else "is not subtle: more than"
    return (
        f"{row}: in what the network can do, the effect {verdict} what the seed decides. The {TEST} changes by "
        f"{100 * change:+.1f} points, and without L2 it differs by {100 * spread:.1f} points from seed to seed."
    )


ROWS = (
    Row(WITHOUT, Weighed()),
    Row(PUBLISHED, Weighed(l2=0.1)),
    Row("lambda 1", Weighed(l2=1.0)),
    Row(STRONG, Weighed(l2=10.0)),
)

EXPERIMENT = Experiment(
    name="mnist-weights",
    title="What L2 makes of the weights",
    question=(
        "L2 adds lambda / (2 m) times the sum of all squared weights to the cost of a batch of m examples, so that "
        "each step also draws every weight towards 0. What becomes of the weights of a network on digits, trained "
        "from the same beginning with and without it? Published was that the effect is subtle, at a lambda of 0.1; "
        "larger ones show what it looks like where it is not."
    ),
    dataset="mnist",
    settings={**SETTINGS, "epochs": str(MOST_EPOCHS)},
    rows=ROWS,
    quantities=(
        *ACCURACIES,
        Quantity(NORM, 1),
        Quantity(DIFFERENCE, 0, 100, " %"),
        Quantity(NEARER, 0, 100, " %"),
        QUANTITIES[-1],
    ),
    source=SOURCE,
    pictures=pictures,
    notes=notes,
    seeds=SEEDS,
)
