"""What L2 makes of the weights: the same network trained with it and without."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from nnx import plots
from nnx.experiments.experiment import Experiment, Picture, Quantity, Results, Row
from nnx.experiments.mnist.common import MOST_EPOCHS, QUANTITIES, SEEDS, SETTINGS, SOURCE, VALIDATION, Digits
from nnx.experiments.pictures import accuracies
from nnx.experiments.result import Result
from nnx.experiments.sentences import percent
from nnx.experiments.training import TEST, TRAIN
from nnx.experiments.watching import Watch
from nnx.model import Sequential

NORM = "norm of weights"
ACCURACIES = QUANTITIES[:3]
WITHOUT, PUBLISHED, STRONG = "without L2", "lambda 0.1", "lambda 10"
_KEPT = "weights of "

Layers: TypeAlias = Mapping[str, NDArray[Any]]
"""Weights by layer, (I, O) each."""


@dataclass(frozen=True)
class Weighed(Digits):
    """Training whose weights are kept, so that reports can compare those of two rows.

    `Result.figures` holds, besides those of `Digits`, the norm of all weights. `Result.arrays` holds the weights of
    each Dense layer, (I, O).
    """

    def found(self, model: Sequential, watch: Watch) -> Result:
        """See `Training.found`."""
        found = super().found(model, watch)
        kept = [values for name, values in model.get_weights().items() if name.endswith("weight")]
        arrays = {f"{_KEPT}layer {number}": values for number, values in enumerate(kept, start=1)}
        norm = math.sqrt(sum(float(np.square(values, dtype=np.float64).sum()) for values in kept))
        return replace(found, figures={**found.figures, NORM: norm}, arrays=arrays)


def weights_of(result: Result) -> Layers:
    """Return the weights that a result holds, by layer, (I, O) each."""
    return {name.removeprefix(_KEPT): values for name, values in result.arrays.items() if name.startswith(_KEPT)}


def flat(result: Result) -> NDArray[np.float64]:
    """Return all weights that a result holds, one after another."""
    return np.concatenate([values.ravel() for values in weights_of(result).values()]).astype(np.float64)


def pairs(results: Results, row: str) -> list[tuple[Result, Result]]:
    """Return each run of a row with that without L2 of the same seed, for seeds of which there are both."""
    without = {result.seed: result for result in results.get(WITHOUT, ())}
    return [(result, without[result.seed]) for result in results.get(row, ()) if result.seed in without]


def difference(result: Result, without: Result) -> float:
    """Return ||W - V|| / ||V||, W being all weights of a run and V those of the one without L2."""
    ours, theirs = flat(result), flat(without)
    return float(np.linalg.norm(ours - theirs) / np.linalg.norm(theirs))


def nearer(result: Result, without: Result) -> float:
    """Return the share of weights that are nearer to 0 than without L2."""
    return float((abs(flat(result)) < abs(flat(without))).mean())


def pictures(results: Results) -> Iterator[Picture]:
    """Draw the weights of one seed with published and with strong L2 beside those without; the accuracies."""
    for row, name in ((PUBLISHED, "published"), (STRONG, "strong")):
        for pair in pairs(results, row)[:1]:
            yield _distributions(*pair, row, name)
            yield _differences(*pair, row, name)
    yield accuracies(ROWS, results, (TRAIN, VALIDATION, TEST))


def _distributions(result: Result, without: Result, row: str, name: str) -> Picture:
    title = f"Weights {WITHOUT} and with {row}"
    caption = f"How the weights of each layer are distributed after training from seed {result.seed}."
    shown = {WITHOUT: weights_of(without), row: weights_of(result)}
    return Picture(f"weights-{name}", title, caption, plots.weight_histograms(shown, title=title))


def _differences(result: Result, without: Result, row: str, name: str) -> Picture:
    title = f"What is different with {row}"
    caption = (
        f"Weights with {row} minus those without, after training from seed {result.seed}. A weight was raised "
        "where it is red, lowered where it is blue; each layer has a scale of its own."
    )
    figure = plots.weight_differences(weights_of(without), weights_of(result), title=title)
    return Picture(f"differences-{name}", title, caption, figure)


def notes(results: Results) -> Iterator[str]:
    """Say what each strength of L2 does to the weights, and whether it shows in what the network can do."""
    for row in results:
        both = pairs(results, row)
        if row != WITHOUT and both:
            yield _on_weights(row, both)
            yield _on_accuracy(row, both)


def _on_weights(row: str, both: Sequence[tuple[Result, Result]]) -> str:
    changed, shrunk = (statistics.median(compare(*pair) for pair in both) for compare in (difference, nearer))
    usual = "in the median, " if len(both) > 1 else ""
    return (
        f"'{row}': {usual}the weights differ from those without L2 by {percent(changed)} of the norm of "
        f"these, and {percent(shrunk)} of them are nearer to 0, where chance alone would make it {percent(0.5)}."
    )


def _on_accuracy(row: str, both: Sequence[tuple[Result, Result]]) -> str:
    """Compare from seed to seed: the effect is subtle if seeds alone make a larger difference."""
    change = statistics.median(ours.figures[TEST] - theirs.figures[TEST] for ours, theirs in both)
    without = [theirs.figures[TEST] for _, theirs in both]
    changed = f"'{row}': the {TEST} changes by {100 * change:+.1f} points"
    if len(both) == 1:
        return f"{changed}; one seed does not say how much of it is chance."
    spread = max(without) - min(without)
    verdict = "subtle: no more" if abs(change) <= spread else "not subtle: more"
    return (
        f"{changed} (median). In what the network can do, the effect is {verdict} than what the seed decides, "
        f"{100 * spread:.1f} points without L2."
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
        QUANTITIES[-1],
    ),
    source=SOURCE,
    pictures=pictures,
    notes=notes,
    seeds=SEEDS,
    seconds={"numba": 11.7},
)
