"""Rows that train a fully connected network on a data set of images."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnx import datasets
from nnx.datasets import Dataset
from nnx.datasets.dataset import Split
from nnx.experiments.experiment import Settings
from nnx.experiments.networks import dense_layers
from nnx.experiments.result import Curve, Result, thinned
from nnx.experiments.watching import Watch, steps_done
from nnx.history import History
from nnx.layers import Layer
from nnx.model import Sequential
from nnx.optimizers import SGD, Optimizer

TRAIN, TEST, BEFORE, AFTER = "train accuracy", "test accuracy", "cost before", "cost after"
SECONDS = "seconds"


@dataclass(frozen=True)
class Training(Settings):
    """A fully connected network, and how it is trained.

    Two classes end in one output under the sigmoid cross-entropy, more in one output each under the softmax one.

    Attributes:
        dataset: the name in `nnx.datasets`.
        hidden, activation, init, batch_norm, dropout: as in `dense_layers`.
        optimizer: with its learning rate.
        l2: the factor lambda.
        epochs: how often to go through the examples.
        batch_size: examples per step, or "full".
    """

    dataset: str
    hidden: tuple[int, ...]
    activation: str = "relu"
    init: str = "he"
    batch_norm: bool = False
    dropout: float = 0.0
    optimizer: Optimizer = field(default_factory=SGD)
    l2: float = 0.0
    epochs: int = 1
    batch_size: int | str = "full"

    def run(self, seed: int, backend: str) -> Result:
        """See `Settings.run`."""
        data = load(self.dataset)
        model = self.network(len(data.classes), data.train[0].shape[1:], seed, backend)
        return self.measure(model, data)

    def network(self, classes: int, shape: Sequence[int], seed: int, backend: str) -> Sequential:
        """Return the model, untrained."""
        layers = list(self.layers(outputs_of(classes)))
        model = Sequential(layers, seed=seed, backend=backend, input_shape=shape)
        return model.compile(loss_of(classes), self.optimizer, l2=self.l2)

    def layers(self, outputs: int) -> Iterator[Layer]:
        """Yield the layers of the network, with so many outputs."""
        return dense_layers(self.hidden, outputs, self.activation, self.init, self.batch_norm, self.dropout)

    def measure(self, model: Sequential, data: Dataset) -> Result:
        """Train the model on one part of the data, and measure it on all of them.

        The seconds are those of training, without any measuring.

        Raises:
            DivergenceError: training diverged; the model is as it was before the step that did.
        """
        parts = self.parts(data, model.seed)
        before, watch = model.evaluate(*parts[TRAIN])["loss"], self.watch(parts)
        start = time.perf_counter()
        history = model.fit(
            *parts[TRAIN], epochs=self.epochs, batch_size=self.batch_size, callbacks=[watch], progress=False
        )
        seconds = time.perf_counter() - start - watch.seconds
        after, found = evaluated(model, parts, data), self.found(model, watch)
        figures = {BEFORE: before, SECONDS: seconds, **after.figures, **found.figures}
        cost = self.cost_curve(
            before, history, after.figures[AFTER], steps_done(model) / self.steps_per_epoch(parts)
        )
        return Result(figures, {"cost": cost, **found.curves}, {**after.arrays, **found.arrays})

    def parts(self, data: Dataset, seed: int) -> dict[str, Split]:
        """Return what the model is measured on, by the name of its accuracy; it is trained on that of `TRAIN`."""
        del seed
        return {TRAIN: data.train, TEST: data.test}

    def watch(self, parts: Mapping[str, Split]) -> Watch:
        """Return what measures the model while it is trained: nothing, unless a subclass asks for it."""
        del parts
        return Watch({})

    def found(self, model: Sequential, watch: Watch) -> Result:
        """Return what a subclass measures besides: of the trained model, and of what was seen on the way."""
        del model, watch
        return Result({})

    def steps_per_epoch(self, parts: Mapping[str, Split]) -> int:
        """Return how often the weights change while all examples are gone through once."""
        examples = len(parts[TRAIN][0])
        return 1 if isinstance(self.batch_size, str) else math.ceil(examples / self.batch_size)

    def cost_curve(self, before: float, history: History, after: float, epochs: float) -> Curve:
        """Return the cost after each epoch, from 0; in mini-batches, its mean over the epoch that ends there."""
        losses = history["loss"]
        values = [*losses, after] if self.batch_size == "full" else [before, *losses]
        return thinned([*range(len(losses)), epochs], values)


def evaluated(model: Sequential, parts: Mapping[str, Split], data: Dataset) -> Result:
    """Return the accuracies of a model on parts of the data, its cost after training, and what it took for what."""
    measured = {name: model.evaluate(*part) for name, part in parts.items()}
    accuracies = {name: logs["accuracy"] for name, logs in measured.items()}
    x, y = data.test
    taken = confusions(y, model.predict_classes(x), len(data.classes))
    return Result({**accuracies, AFTER: measured[TRAIN]["loss"]}, arrays=taken)


@lru_cache(maxsize=1)
def load(name: str) -> Dataset:
    """Return a data set; the one used last is kept, since many runs share it."""
    return datasets.load(name)


def outputs_of(classes: int) -> int:
    """Return how many outputs tell so many classes apart."""
    return 1 if classes == 2 else classes


def loss_of(classes: int) -> str:
    """Return the name of the loss for so many classes."""
    return "sigmoid_cross_entropy" if classes == 2 else "softmax_cross_entropy"


def confusions(labels: NDArray[Any], predictions: NDArray[Any], classes: int) -> dict[str, NDArray[Any]]:
    """Return what pictures need to show which examples were taken for what.

    Returns:
        "confusions" (classes, classes), how many of the class of the row were taken for that of the column;
        "predictions" (N,) the predicted classes.
    """
    counts = np.zeros((classes, classes), np.int64)
    np.add.at(counts, (labels, predictions), 1)
    return {"confusions": counts, "predictions": predictions}
