"""What the experiments on handwritten digits have in common."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnx import random
from nnx.callbacks import Callback, EarlyStopping, Logs
from nnx.datasets import Dataset
from nnx.datasets.dataset import Split
from nnx.experiments.experiment import Quantity
from nnx.experiments.result import Curve, Result, thinned
from nnx.experiments.training import SECONDS, TEST, TRAIN, Training, confusions
from nnx.history import History
from nnx.model import Sequential
from nnx.optimizers import SGD, Optimizer
from nnx.training import Run

VALIDATION, EPOCHS = "validation accuracy", "epochs"
HIGHEST = "highest validation accuracy"
"""Of all that were measured on the way, one after every epoch, or whenever a rule looked."""
HIDDEN = (20, 7, 5)
LEARNING_RATE, BATCH_SIZE, MOST_EPOCHS, SHARE = 0.009, 128, 200, 0.2
SEEDS = 3
SOURCE = (
    "A report on a network written by hand for the digits of MNIST, as an exercise of a university course on deep "
    "learning: single runs."
)

QUANTITIES = (
    Quantity(TRAIN, 1, 100, " %", "high"),
    Quantity(VALIDATION, 1, 100, " %", "high"),
    Quantity(TEST, 1, 100, " %", "high"),
    Quantity(EPOCHS, 1),
    Quantity(SECONDS, 1, unit=" s", better="low"),
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
        """Return what `fit` asks."""
        return EarlyStopping(
            "val_accuracy",
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

    def measure(self, model: Sequential, data: Dataset) -> Result:
        """Train the model on one part, watching another, and measure it on these and on the test part."""
        kept, held_out = divided(data.train, self.validation_split, model.seed)
        before, trail = model.evaluate(*kept)["loss"], self.trail(model, len(kept[0]), held_out)
        start = time.perf_counter()
        losses = [before, *self.train(model, kept, held_out, trail)["loss"]]
        seconds = time.perf_counter() - start
        epochs = int(model.backend.to_numpy(model.step)) / trail.steps_per_epoch
        parts = {TRAIN: kept, VALIDATION: held_out, TEST: data.test}
        accuracies = {name: model.evaluate(*part)["accuracy"] for name, part in parts.items()}
        curves = {"cost": thinned([*range(len(losses) - 1), epochs], losses), VALIDATION: trail.curve()}
        x_test, y_test = data.test
        found = confusions(y_test, model.predict_classes(x_test), len(data.classes))
        figures = {**accuracies, HIGHEST: trail.highest, EPOCHS: epochs, SECONDS: seconds}
        return Result(figures, curves, {**found, **self.arrays(model)})

    def train(self, model: Sequential, examples: Split, held_out: Split, trail: Trail) -> History:
        """Train the model until its last epoch, or until the rule ends it."""
        return model.fit(
            *examples,
            epochs=self.epochs,
            batch_size=self.batch_size,
            validation_data=held_out,
            callbacks=[trail, *([self.stopping.callback()] if self.stopping else [])],
            progress=False,
        )

    def trail(self, model: Sequential, examples: int, held_out: Split) -> Trail:
        """Return what notes the validation accuracy: whenever it is looked at to stop, or after every epoch."""
        size = examples if isinstance(self.batch_size, str) else self.batch_size
        steps = -(-examples // size)
        before = model.evaluate(*held_out)["accuracy"]
        return Trail(self.stopping.every if self.stopping else steps, steps, before)

    def arrays(self, model: Sequential) -> Mapping[str, NDArray[Any]]:
        """Return what pictures need of the trained model, besides what it made of the test part."""
        del model
        return {}


class Trail(Callback):
    """Notes the validation accuracy while a model is trained.

    Attributes:
        every: after so many steps each.
        steps_per_epoch: how many steps are an epoch.
    """

    every: int

    def __init__(self, every: int, steps_per_epoch: int, before: float) -> None:
        """Begin with the accuracy before the first step."""
        self.every, self.steps_per_epoch = every, steps_per_epoch
        self._values = [before]

    def on_steps(self, run: Run, step: int, logs: Logs) -> None:
        """See `Callback`."""
        del run, step
        self._values.append(logs["val_accuracy"])

    @property
    def highest(self) -> float:
        """The highest that was noted."""
        return max(self._values)

    def curve(self) -> Curve:
        """Return what was noted, over the epochs."""
        epochs = [self.every * index / self.steps_per_epoch for index in range(len(self._values))]
        return thinned(epochs, self._values)


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
