"""The networks that everyone trains, and the order in which examples come."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmarks.networks import Convolutions, Perceptron, Sequences, Workload

CHECKED_EPOCHS = 3
"""Epochs of the short run in which every contender's losses are compared."""


def _classifier(name: str, batch_norm: bool = False, l2: float = 0.0) -> Perceptron:
    """Return one of the small networks on images of 28 x 28."""
    return Perceptron(
        name=name,
        sizes=(784, 20, 7, 5, 10),
        optimizer="sgd",
        rate=0.05,
        examples=48_000,
        batch=128,
        epochs=4,
        per="epoch",
        batch_norm=batch_norm,
        l2=l2,
    )


def _recurrent(name: str, cell: str) -> Sequences:
    return Sequences(
        name=name,
        cell=cell,
        inputs=32,
        hidden=64,
        length=50,
        optimizer="adam",
        rate=0.001,
        examples=3200,
        batch=32,
        epochs=1,
        per="step",
    )


WORKLOADS: dict[str, Workload] = {
    workload.name: workload
    for workload in (
        Perceptron(
            name="W1",
            sizes=(12288, 20, 7, 5, 1),
            optimizer="sgd",
            rate=0.0075,
            examples=209,
            batch=209,
            epochs=60,
            per="step",
        ),
        _classifier("W2"),
        _classifier("W2-batch-norm", batch_norm=True),
        _classifier("W2-l2", l2=0.1),
        Perceptron(
            name="W3",
            sizes=(784, 512, 512, 10),
            optimizer="adam",
            rate=0.001,
            examples=48_000,
            batch=128,
            epochs=1,
            per="epoch",
            batch_norm=True,
            dropout=0.2,
            # Everyone draws masks of their own; over ten batches the mean loss differs by a few per cent.
            tolerance=0.1,
        ),
        Perceptron(
            name="W4",
            sizes=(2, 16, 16, 1),
            activation="tanh",
            optimizer="adam",
            rate=0.003,
            examples=8192,
            batch=32,
            epochs=64,
            per="step",
        ),
        Convolutions(
            name="W5",
            side=28,
            channels=1,
            filters=(8, 16),
            classes=10,
            optimizer="adam",
            rate=0.001,
            examples=6400,
            batch=64,
            epochs=1,
            per="step",
        ),
        _recurrent("W6", "lstm"),
        _recurrent("W7", "gru"),
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
