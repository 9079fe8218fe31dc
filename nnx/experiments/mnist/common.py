"""What the experiments on handwritten digits have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from nnx import random
from nnx.callbacks import EarlyStopping, Logs
from nnx.datasets import Dataset
from nnx.datasets.dataset import Split
from nnx.experiments.experiment import Quantity
from nnx.experiments.result import Result
from nnx.experiments.training import SECONDS, TEST, TRAIN, Training
from nnx.experiments.watching import Watch
from nnx.model import Sequential
from nnx.optimizers import SGD, Optimizer
from nnx.training import Run

VALIDATION, EPOCHS = "validation accuracy", "epochs"
HIGHEST = "highest validation accuracy"
"""Of all that were measured on the way, one after every epoch, or whenever a rule looked."""

_MONITORED = "val_accuracy"
HIDDEN = (20, 7, 5)
LEARNING_RATE, BATCH_SIZE, MOST_EPOCHS, SHARE = 0.009, 128, 200, 0.2
SEEDS = 5
"""Fewer than elsewhere: 200 epochs of 48000 images take 7 to 30 s, and an experiment has up to 16 rows."""
SOURCE = (
    "A report on a network written by hand for the digits of MNIST, as an exercise of a university course on deep "
    "learning: single runs."
)

QUANTITIES = (
    Quantity(TRAIN, 1, 100, " %", "high"),
    Quantity(VALIDATION, 1, 100, " %", "high"),
    Quantity(TEST, 1, 100, " %", "high"),
    Quantity(EPOCHS, 1),
    Quantity(SECONDS, 1, unit=" s", better="low", comparable=False),
)

SETTINGS = {
    "data": "60000 images of 28x28 pixels, inputs in [0, 1]: a fifth, drawn by the seed, is set aside to validate "
    "on, the rest is trained on; 10000 others to test on",
    "hidden units": "20, 7 and 5",
    "activation": "ReLU",
    "initial weights": "He",
    "optimizer": f"gradient descent, {BATCH_SIZE} examples at once, learning rate {LEARNING_RATE}",
    "epochs": f"{MOST_EPOCHS}, unless a rule stops earlier",
    "loss": "cross-entropy of ten softmax outputs",
}


@dataclass(frozen=True)
class Stopping:
    """When training ends early: the validation accuracy was looked at so often, and was never better.

    The weights stay as they are then, as in a program that returns what it ends with.

    Attributes:
        every: look after so many steps.
        patience: so many looks in a row.
        min_delta: by more than how much it must exceed the best before to count as better.
    """

    every: int
    patience: int
    min_delta: float = 0.0

    def callback(self) -> EarlyStopping:
        """Return what knows when to end."""
        return EarlyStopping(
            _MONITORED,
            min_delta=self.min_delta,
            patience=self.patience,
            every=self.every,
            restore_best_weights=False,
        )


NO_RISE = Stopping(every=1, patience=100)
"""As published: the validation accuracy has not risen for 100 steps; it is measured after every step."""

ONE_PER_CENT = Stopping(every=100, patience=1, min_delta=0.01)
"""100 steps made it better by less than one per cent of the examples."""


@dataclass(frozen=True)
class Digits(Training):
    """A network on the digits, trained as published unless an option says otherwise.

    Attributes:
        validation_split: share of the training examples that is set aside, drawn by the seed.
        stopping: when to end early; None for never.
    """

    dataset: str = "mnist"
    hidden: tuple[int, ...] = HIDDEN
    optimizer: Optimizer = field(default_factory=lambda: SGD(LEARNING_RATE))
    epochs: int = MOST_EPOCHS
    batch_size: int | str = BATCH_SIZE
    validation_split: float = SHARE
    stopping: Stopping | None = None

    def parts(self, data: Dataset, seed: int) -> dict[str, Split]:
        """See `Training.parts`; in between is what was set aside to validate on."""
        kept, held_out = divided(data.train, self.validation_split, seed)
        return {TRAIN: kept, VALIDATION: held_out, TEST: data.test}

    def watch(self, parts: Mapping[str, Split]) -> Watch:
        """See `Training.watch`: the validation accuracy, whenever the rule looks, or after every epoch."""
        steps = self.steps_per_epoch(parts)
        if self.stopping is None:
            return Watch({VALIDATION: parts[VALIDATION]}, steps, steps)
        return Ending(parts[VALIDATION], self.stopping, steps)

    def found(self, model: Sequential, watch: Watch) -> Result:
        """See `Training.found`."""
        del model
        highest = max(watch.values(VALIDATION, "accuracy"))
        figures = {HIGHEST: highest, EPOCHS: watch.looks[-1].epoch}
        return Result(figures, {VALIDATION: watch.curve(VALIDATION, "accuracy")})


class Ending(Watch):
    """Looks at the validation accuracy as a rule asks for, and ends training when that says so.

    Args:
        held_out: what it is measured on.
        rule: when to look, and when to end.
        steps_per_epoch: how many steps are an epoch.
    """

    def __init__(self, held_out: Split, rule: Stopping, steps_per_epoch: int) -> None:
        """Begin with nothing measured."""
        super().__init__({VALIDATION: held_out}, rule.every, steps_per_epoch)
        self._rule = rule.callback()

    def on_steps(self, run: Run, step: int, logs: Logs) -> None:
        """See `Callback`."""
        super().on_steps(run, step, logs)
        self._rule.on_steps(run, step, {_MONITORED: self.looks[-1].parts[VALIDATION]["accuracy"]})


def divided(examples: Split, share: float, seed: int) -> tuple[Split, Split]:
    """Set aside the share of the examples that `fit(validation_split=share)` would; return the rest, then these."""
    x, y = examples
    order = random.permutation(len(x), seed, random.stream_of("validation_split"))
    held_out = round(len(x) * share)
    kept, aside = np.sort(order[held_out:]), np.sort(order[:held_out])
    return (x[kept], y[kept]), (x[aside], y[aside])


def published(train: float, validation: float, test: float, seconds: float) -> dict[str, float]:
    """Name the four values that were published of a row."""
    return {TRAIN: train, VALIDATION: validation, TEST: test, SECONDS: seconds}
