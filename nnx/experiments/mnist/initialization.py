"""How the initial weights decide whether a network learns to read digits at all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from nnx.datasets import Dataset, info
from nnx.errors import DivergenceError
from nnx.experiments import sentences
from nnx.experiments.choosing import measured, median
from nnx.experiments.experiment import Experiment, Picture, Quantity, Results, Row
from nnx.experiments.hidden import blocked_share, hidden_zeros
from nnx.experiments.mnist.common import MOST_EPOCHS, QUANTITIES, SEEDS, SETTINGS, SOURCE, VALIDATION, Digits
from nnx.experiments.pictures import accuracies, curves
from nnx.experiments.result import Result
from nnx.experiments.training import TEST, TRAIN, evaluated
from nnx.model import Sequential

EPOCHS = 50
DIVERGED, LOST_BEFORE, LOST_AFTER = "diverged", "images lost before", "images lost after"
ACCURACIES = QUANTITIES[:3]
TEST_ACCURACY = ACCURACIES[2]
LOST = Quantity(LOST_AFTER, 1, 100, " %", "low")


@dataclass(frozen=True)
class FromWeights(Digits):
    """Training that counts lost images, and for which to diverge is a result: what is left then is measured.

    An image is lost if all units of some hidden layer are zero for it: what the network says of it is what it says
    of all such images, and only the biases behind that layer learn from it.

    `Result.figures` holds, besides those of `Digits`, the share of images lost among those trained on, before and
    after, and 1 if training diverged, 0 if not.
    """

    epochs: int = EPOCHS

    def measure(self, model: Sequential, data: Dataset) -> Result:
        """See `Training.measure`; of training that diverged, what `fit` left is measured."""
        parts = self.parts(data, model.seed)
        x, _ = parts[TRAIN]
        before = blocked_share(hidden_zeros(model, x))
        try:
            result, diverged = super().measure(model, data), 0.0
        except DivergenceError:
            result, diverged = evaluated(model, parts, data), 1.0
        figures = {LOST_BEFORE: before, LOST_AFTER: blocked_share(hidden_zeros(model, x)), DIVERGED: diverged}
        return replace(result, figures={**result.figures, **figures})


def pictures(results: Results) -> Iterator[Picture]:
    """Draw costs and validation accuracies of the runs that came to their end, and the accuracies of all."""
    whole = {row: [run for run in runs if VALIDATION in run.curves] for row, runs in results.items()}
    ended = {row: runs for row, runs in whole.items() if runs}
    if ended:
        yield curves(ROWS, ended, "cost", title="Cost while training")
        yield curves(ROWS, ended, VALIDATION, title="Validation accuracy while training")
    yield accuracies(ROWS, results, (TRAIN, VALIDATION, TEST))


def notes(results: Results) -> Iterator[str]:
    """Say which weights are best and which most stable, and how many images are lost."""
    yield from sentences.best(results, TEST_ACCURACY)
    if sentences.several(results):
        yield from _stability(results)
    yield from sentences.one_answer(results, info("mnist").classes)
    shares = [f"{LOST.show(median(results, row, LOST_AFTER))} from '{row}'" for row in results]
    yield (
        "Images trained on that are lost at the end, all units of a hidden layer being zero for them"
        f"{sentences.in_medians(results)}: {sentences.listed(shares)}."
    )
    diverged = [
        f"{sum(measured(results, row, DIVERGED)):.0f} of {len(results[row])} from '{row}'" for row in results
    ]
    yield f"Runs that diverged: {sentences.listed(diverged)}."


def _stability(results: Results) -> Iterator[str]:
    """Compare the ranges over the seeds: a network that says one thing whatever it sees is stable, but no use."""
    spreads = {row: _spread(measured(results, row, TEST)) for row, runs in results.items() if len(runs) > 1}
    shown = [f"{sentences.points(spread, 1)} from '{row}'" for row, spread in spreads.items()]
    yield f"The {TEST} of the highest run is above that of the lowest by {sentences.listed(shown)}."
    useless = {row for row in spreads if all(map(sentences.always_alike, results[row]))}
    learning = {row: spread for row, spread in spreads.items() if row not in useless}
    if steady := [row for row in _steadiest(spreads) if row in useless]:
        yield f"Most stable: {sentences.quoted(steady)}, but only since all runs say the same to every image."
    if learning:
        among = ", of those with a run that tells images apart" if useless else ""
        yield f"Most stable{among}: {sentences.quoted(_steadiest(learning))}."


def _steadiest(spreads: Mapping[str, float]) -> list[str]:
    """Return the rows of the smallest range; several if they are alike as shown."""
    shown = {row: sentences.points(spread, 1) for row, spread in spreads.items()}
    least = shown[min(spreads, key=spreads.__getitem__)]
    return [row for row, spread in shown.items() if spread == least]


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
        "that: sums are far too large already in the first layer of 784 inputs, and so are the first steps. An "
        "image for which all units of a layer are zero afterwards is lost to the network."
    ),
    dataset="mnist",
    settings={
        **{name: value for name, value in SETTINGS.items() if name != "initial weights"},
        "epochs": f"{EPOCHS}; published were up to {MOST_EPOCHS}",
    },
    rows=ROWS,
    quantities=(
        *ACCURACIES,
        Quantity(LOST_BEFORE, 1, 100, " %", "low"),
        LOST,
        QUANTITIES[-1],
    ),
    source=SOURCE,
    pictures=pictures,
    notes=notes,
    seeds=SEEDS,
    seconds={"numba": 5.9},
)
