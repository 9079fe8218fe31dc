"""The networks that everyone trains: shapes, data, initial weights, and what one repetition consists of."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Labels = NDArray[np.int64]

CHECKED_STEPS = 10
"""Steps per epoch of the short run in which every contender's losses are compared."""

CHECKED_EPOCHS = 3


@dataclass(frozen=True)
class Data:
    """Examples: x (M, I) float32; y (M,) int64 labels, or (M, 1) float32 zeros and ones for one output."""

    x: Floats
    y: Labels | Floats

    def first(self, count: int) -> Data:
        """Return the first examples only."""
        return Data(self.x[:count], self.y[:count])


@dataclass(frozen=True)
class Workload:
    """One network and how it is trained.

    The optimizer is gradient descent, or Adam with beta1 = 0.9, beta2 = 0.999, eps = 1e-8. Batch normalisation
    stands between each hidden layer's product, which then has no bias, and its activation; dropout behind it.

    Attributes:
        name: the key in results.
        sizes: inputs, hidden layers, outputs; one output means sigmoid cross-entropy, more mean softmax.
        activation: of the hidden layers, "relu" or "tanh".
        optimizer: "sgd" or "adam".
        rate: learning rate.
        examples: in the data set; a multiple of the batch, so that every step does the same work.
        batch: examples per step; all of them means full batch, which nobody shuffles.
        epochs: in one repetition, enough for the clock to tell repetitions apart.
        per: what times are given per, "step" or "epoch".
        l2: lambda of the penalty lambda / (2 m) sum W^2, m being the batch.
        tolerance: how far the mean loss of a short run may lie from another contender's, relatively.
    """

    name: str
    sizes: tuple[int, ...]
    activation: str
    optimizer: str
    rate: float
    examples: int
    batch: int
    epochs: int
    per: str
    batch_norm: bool = False
    dropout: float = 0.0
    l2: float = 0.0
    # Thirty steps of float32 arithmetic in another order of summation; eps times some hundred roundings a step.
    tolerance: float = 2e-4

    @property
    def steps(self) -> int:
        """Steps per epoch."""
        return self.examples // self.batch

    @property
    def full_batch(self) -> bool:
        """Whether a step sees all examples."""
        return self.batch == self.examples

    @property
    def binary(self) -> bool:
        """Whether there is one output, under sigmoid cross-entropy."""
        return self.sizes[-1] == 1

    @property
    def units(self) -> int:
        """How many of `per` one repetition does."""
        return self.epochs * (self.steps if self.per == "step" else 1)

    @cached_property
    def data(self) -> Data:
        """The data set: uniform numbers, labelled by a random rule that the network can learn."""
        rng = np.random.default_rng(2024)
        x = rng.random((self.examples, self.sizes[0]), np.float32)
        if self.sizes[0] == 2:
            return Data(x, (np.square(x - 0.5).sum(axis=1, keepdims=True) < 0.16).astype(np.float32))
        scores = (x - 0.5) @ rng.standard_normal((self.sizes[0], self.sizes[-1]), np.float32)
        return Data(x, (scores > 0).astype(np.float32) if self.binary else scores.argmax(axis=1))

    @property
    def checked_data(self) -> Data:
        """What the short run sees, in the order given."""
        return self.data.first(min(CHECKED_STEPS * self.batch, self.examples))

    def initial_weights(self) -> list[Floats]:
        """Draw the weights of each layer, (I, O), variance 2 / I; biases and offsets start at 0, scales at 1."""
        rng = np.random.default_rng(7)
        pairs = zip(self.sizes, self.sizes[1:], strict=False)
        return [rng.standard_normal(pair, np.float32) * np.float32(math.sqrt(2 / pair[0])) for pair in pairs]


_SMALL = (784, 20, 7, 5, 10)

WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload("W1", (12288, 20, 7, 5, 1), "relu", "sgd", 0.0075, 209, 209, 60, "step"),
        Workload("W2", _SMALL, "relu", "sgd", 0.05, 48_000, 128, 4, "epoch"),
        Workload("W2-batch-norm", _SMALL, "relu", "sgd", 0.05, 48_000, 128, 4, "epoch", batch_norm=True),
        Workload("W2-l2", _SMALL, "relu", "sgd", 0.05, 48_000, 128, 4, "epoch", l2=0.1),
        Workload(
            "W3",
            (784, 512, 512, 10),
            "relu",
            "adam",
            0.001,
            48_000,
            128,
            1,
            "epoch",
            batch_norm=True,
            dropout=0.2,
            # Everyone draws masks of their own; over ten batches the mean loss differs by a few per cent.
            tolerance=0.1,
        ),
        Workload("W4", (2, 16, 16, 1), "tanh", "adam", 0.003, 8192, 32, 64, "step"),
    )
}
"""Every workload, by name."""


class Orders:
    """The order of the examples in each epoch, drawn anew unless training is on a full batch or unshuffled."""

    def __init__(self, count: int, shuffle: bool) -> None:
        """Begin before the first epoch."""
        self._rng = np.random.default_rng(1) if shuffle else None
        self._given = np.arange(count)

    def draw(self) -> NDArray[np.int64]:
        """Return the order of the next epoch."""
        return self._given if self._rng is None else self._rng.permutation(self._given.size)
