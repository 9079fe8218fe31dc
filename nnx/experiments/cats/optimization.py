"""A series of networks, trained with one usual idea after the other: how fast they learn, and how well."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from nnx import plots
from nnx.datasets import info
from nnx.datasets.dataset import Split
from nnx.experiments import sentences
from nnx.experiments.cats.common import LEARNING_RATE, QUANTITIES, SETTINGS, training
from nnx.experiments.cats.report import TEST_ACCURACY, outcomes
from nnx.experiments.experiment import Experiment, Picture, Quantity, Results, Row
from nnx.experiments.pictures import lines_said
from nnx.experiments.result import Curve, Result
from nnx.experiments.training import AFTER, SECONDS, TEST, TRAIN, Training
from nnx.experiments.watching import Watch
from nnx.model import Sequential
from nnx.optimizers import Adam, Momentum, RMSprop

STEPS, EXAMPLES, BATCH = 2500, 209, 64
TARGET = 0.1
PIECES = 50
STEPS_TO, EPOCHS_TO = f"steps to cost {TARGET}", f"epochs to cost {TARGET}"


@dataclass(frozen=True)
class TimedTraining(Training):
    """Training whose cost is measured after every epoch, over all training examples, as of a finished network.

    `Result.figures` holds besides: the epochs and the steps after which the cost was first at most 0.1 nats, if it
    ever was.
    """

    def watch(self, parts: Mapping[str, Split]) -> Watch:
        """See `Training.watch`."""
        steps = self.steps_per_epoch(parts)
        return Watch({TRAIN: parts[TRAIN]}, steps, steps)

    def found(self, model: Sequential, watch: Watch) -> Result:
        """See `Training.found`."""
        del model
        costs = watch.values(TRAIN, "loss")
        figures = {AFTER: costs[-1], **time_to(TARGET, costs, watch.steps_per_epoch)}
        return Result(figures, {"cost": watch.curve(TRAIN, "loss")})


def time_to(target: float, costs: Sequence[float], steps: int) -> dict[str, float]:
    """Return after how many epochs, and steps, the cost was first at most the target; nothing if it never was.

    Args:
        target: in nats.
        costs: before the first epoch and after each.
        steps: how many an epoch has.
    """
    epochs = next((epoch for epoch, cost in enumerate(costs) if cost <= target), None)
    return {} if epochs is None else {EPOCHS_TO: float(epochs), STEPS_TO: float(epochs * steps)}


def steps_per_epoch(settings: Training, examples: int) -> int:
    """Return how often the weights change while all examples are gone through once."""
    return 1 if isinstance(settings.batch_size, str) else math.ceil(examples / settings.batch_size)


def timed(**options: Any) -> TimedTraining:
    """Return the network of 20, 7 and 5 hidden units, trained for 2500 steps, in mini-batches by default."""
    batches = {"batch_size": BATCH, "epochs": STEPS // math.ceil(EXAMPLES / BATCH)}
    return TimedTraining(**vars(training((20, 7, 5), **{**batches, **options})))


PLAIN, ADAM = "plain", "Adam"
ROWS = (
    Row(PLAIN, timed(batch_size="full", epochs=STEPS)),
    Row("mini-batch", timed()),
    Row("momentum", timed(optimizer=Momentum(0.002))),
    Row("RMSprop", timed(optimizer=RMSprop(0.0003))),
    Row(ADAM, timed(optimizer=Adam(0.0003))),
    Row("+ batch norm", timed(optimizer=Adam(0.0003), batch_norm=True)),
    Row("+ L2", timed(optimizer=Adam(0.0003), batch_norm=True, l2=3.0)),
    Row("+ dropout", timed(optimizer=Adam(0.0003), batch_norm=True, l2=3.0, dropout=0.1)),
)
"""Learning rates are the same for all seeds. Momentum adds up ten steps, so that with the rate of plain descent
networks die or jump about; with a quarter of it, they do not. The steps of RMSprop and Adam do not depend on how
steep the cost is: what 12288 weights do, each moved by the rate, adds up, so that theirs is the smallest. Both have
the same, so that between them only one thing changes."""

STEPS_QUANTITY = Quantity(STEPS_TO, 0, better="low")


def pictures(results: Results) -> Iterator[Picture]:
    """Draw costs of the optimizers and of what is added to Adam, accuracies, and what one run takes for what."""
    names = [row.name for row in ROWS]
    split = names.index(ADAM)
    yield from costs(results, names[: split + 1], "cost-optimizers", "Cost by optimizer")
    yield from costs(results, names[split:], "cost-additions", "Cost with what is added to Adam")
    yield from outcomes(ROWS, results)


def costs(results: Results, names: Sequence[str], name: str, title: str) -> Iterator[Picture]:
    """Draw the costs of rows over the steps, where any of them was run."""
    scales = {
        row.name: steps_per_epoch(row.settings, EXAMPLES) for row in ROWS if isinstance(row.settings, Training)
    }
    lines = {
        row: [calmed(run.curves["cost"], scales[row]) for run in results[row]] for row in names if row in results
    }
    if lines:
        caption = (
            "The cost on all training photographs over the steps, without penalty and dropout. Of each run, points "
            f"are medians of a {PIECES}th of it, since it jumps from epoch to epoch. {lines_said(lines)}"
        )
        yield Picture(name, title, caption, plots.learning_curves(lines, quantity="cost", across="step"))


def calmed(curve: Curve, scale: int) -> tuple[list[float], list[float]]:
    """Return (steps, values) of a curve with so many steps per epoch: its beginning, then medians of pieces."""
    count = max(1, min(PIECES, len(curve.steps) - 1))
    steps, values = (
        [numbers[0], *(float(np.median(piece)) for piece in np.array_split(numbers[1:], count) if len(piece))]
        for numbers in (curve.steps, curve.values)
    )
    return [scale * step for step in steps], values


def notes(results: Results) -> Iterator[str]:
    """Say how many steps each needs to the target, what each idea adds, and how well they tell test photographs."""
    names = [row.name for row in ROWS]
    split = names.index(ADAM)
    yield from arrivals(results)
    yield from changes(results, names[: split + 1], "The same steps by optimizer, at learning rates of their own")
    yield from changes(results, names[split:], "The same steps by what is added to Adam")
    yield from departures(results)
    yield from sentences.best(results, TEST_ACCURACY)
    yield from sentences.one_answer(results, info("cats").classes)
    yield from sentences.few_examples(results, TEST_ACCURACY)


def arrivals(results: Results) -> Iterator[str]:
    """Say which row needs the fewest steps to the target, and which have runs that never reach it."""
    medians = {row: median_steps(runs) for row, runs in results.items()}
    fewest = min(medians.values())
    if math.isfinite(fewest):
        fastest = sentences.quoted(row for row, steps in medians.items() if steps == fewest)
        yield (
            f"The fewest steps to a training cost of {TARGET}, {fewest:.0f}, are those of {fastest}"
            f"{sentences.in_medians(results)}. The cost is measured after each epoch, so that a number of steps is "
            "that of an epoch's last."
        )
    late = {row: sum(STEPS_TO not in run.figures for run in runs) for row, runs in results.items()}
    never = [f"{count} of {len(results[row])} of '{row}'" for row, count in late.items() if count]
    if never:
        yield (
            f"Runs that do not reach this cost within {STEPS} steps: {sentences.listed(never)}. The table shows "
            "the steps of those that do."
        )


def departures(results: Results) -> Iterator[str]:
    """Say how many runs that reach the target do not stay there."""
    reached = {row: [run for run in runs if STEPS_TO in run.figures] for row, runs in results.items()}
    left = {row: sum(run.figures[AFTER] > TARGET for run in runs) for row, runs in reached.items()}
    shares = [f"{count} of {len(reached[row])} of '{row}'" for row, count in left.items() if count]
    if shares:
        yield f"Of those that reach it, some end above it again: {sentences.listed(shares)}."


def changes(results: Results, names: Sequence[str], beginning: str) -> Iterator[str]:
    """Say how many steps rows need, and how many the one before each; nothing where both never arrive."""
    medians = [(row, median_steps(results[row])) for row in names if row in results]
    told_each = [
        f"'{row}' {told(after)} after {told(before)} of '{previous}'"
        for (previous, before), (row, after) in pairwise(medians)
        if math.isfinite(min(before, after))  # else there is nothing to compare
    ]
    if told_each:
        noted = " (medians of all runs)" if sentences.several(results) else ""
        yield f"{beginning}{noted}: {'; '.join(told_each)}."


def median_steps(runs: Sequence[Result]) -> float:
    """Return the median of the steps to the target, infinite where half of the runs or more never reach it."""
    return statistics.median(run.figures.get(STEPS_TO, math.inf) for run in runs)


def told(steps: float) -> str:
    """Write a number of steps, which may be infinite."""
    return f"{steps:.0f}" if math.isfinite(steps) else f"more than {STEPS}"


EXPERIMENT = Experiment(
    name="cats-optimization",
    title="Optimization: from plain gradient descent to Adam with batch norm",
    question=(
        "What do the usual ideas do? First the optimizers, whose learning rates differ: plain gradient descent on "
        f"all photographs at once; mini-batches of {BATCH}; with these, momentum; RMSprop, which divides each step "
        "by how large its gradients were, in place of momentum; Adam, which does both. Then what is added to Adam, "
        f"one upon the other: batch norm, the L2 penalty, dropout. All have {STEPS} steps; how many do they need "
        f"to a training cost of {TARGET}, and how well do they tell photographs that they have not seen?"
    ),
    dataset="cats",
    settings={
        **SETTINGS,
        "hidden units": "20, 7 and 5",
        "activation": "ReLU",
        "initial weights": "He; rows with batch norm and dropout have others from the same seed",
        "optimizer": (
            f"learning rate {LEARNING_RATE} for plain and mini-batch, 0.002 for momentum (0.9), 0.0003 for RMSprop "
            "and Adam; the same for all seeds"
        ),
        "iterations": f"{STEPS} steps: as many epochs of all photographs at once, {STEPS // 4} of mini-batches",
        "L2": "lambda 3 for each mini-batch of 64, as strong as about 10 for all 209 photographs at once",
        "dropout": "a tenth of each hidden layer",
        "cost": "after each epoch, on all training photographs, without penalty and dropout",
    },
    rows=ROWS,
    quantities=(
        *(quantity for quantity in QUANTITIES if quantity.name in (TRAIN, TEST)),
        STEPS_QUANTITY,
        Quantity(EPOCHS_TO, 0, better="low"),
        *(quantity for quantity in QUANTITIES if quantity.name in (AFTER, SECONDS)),
    ),
    source=(
        "The ideas are those of the course 'Improving Deep Neural Networks' (deeplearning.ai, 2017); no values "
        "were published."
    ),
    pictures=pictures,
    notes=notes,
    seconds={"numba": 4.8},
    links={"The course 'Improving Deep Neural Networks'": "https://www.coursera.org/learn/deep-neural-network"},
)
