"""Rows that train a fully connected network on a data set of images."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnx import datasets
from nnx.datasets import Dataset
from nnx.experiments.experiment import Settings
from nnx.experiments.networks import dense_layers
from nnx.experiments.result import Curve, Result, thinned
from nnx.history import History
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
        layers = dense_layers(
            self.hidden, outputs_of(classes), self.activation, self.init, self.batch_norm, self.dropout
        )
        model = Sequential(list(layers), seed=seed, backend=backend, input_shape=shape)
        return model.compile(loss_of(classes), self.optimizer, l2=self.l2)

    def measure(self, model: Sequential, data: Dataset) -> Result:
        """Train the model and measure it on both parts."""
        (x, y), (x_test, y_test) = data
        before = model.evaluate(x, y)["loss"]
        start = time.perf_counter()
        history = model.fit(x, y, epochs=self.epochs, batch_size=self.batch_size, progress=False)
        seconds = time.perf_counter() - start
        train, test = model.evaluate(x, y), model.evaluate(x_test, y_test)
        predictions = model.predict_classes(x_test)
        figures = {
            TRAIN: train["accuracy"],
            TEST: test["accuracy"],
            BEFORE: before,
            AFTER: train["loss"],
            SECONDS: seconds,
        }
        curves = {"cost": self.cost_curve(before, history, train["loss"])}
        return Result(figures, curves, confusions(y_test, predictions, len(data.classes)))

    def cost_curve(self, before: float, history: History, after: float) -> Curve:
        """Return the cost after each epoch, from 0; in mini-batches, its mean over the epoch that ends there."""
        losses = history["loss"]
        values = [*losses, after] if self.batch_size == "full" else [before, *losses]
        return thinned(range(len(values)), values)


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
