"""The questions of the walk: what is asked about the handwritten digits that ship with nnx."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nnx import datasets, registry
from nnx.interface import Array


class Task(NamedTuple):
    """A question about the digits: inputs (64, m), answers (1, m), or (10, m) with a single 1 in each column."""

    question: str
    X: Array
    Y: Array
    X_test: Array
    Y_test: Array


def ask(question: str, answers: Callable[[NDArray[np.int64]], NDArray[np.bool_]]) -> Task:
    """Lay the digits out as textbooks do: one column per picture, 64 pixels from 0 to 1."""
    backend, arrays = registry.current(), []
    for images, labels in datasets.digits():
        arrays += [images.reshape(len(images), -1), answers(labels)]
    return Task(question, *(backend.asarray(array, "float32").T for array in arrays))


def is_zero() -> Task:
    """Ask for zeros."""
    return ask("Is it a zero?", lambda labels: labels[:, None] == 0)


def is_odd() -> Task:
    """Ask for odd numbers."""
    return ask("Is it an odd number?", lambda labels: labels[:, None] % 2 == 1)


def which() -> Task:
    """Ask for the digit itself."""
    return ask("Which digit is it?", lambda labels: labels[:, None] == np.arange(10))


def blind_guess(task: Task) -> float:
    """Return how often the answer that is most frequent among the digits learned from is right on the others."""
    backend = registry.current()
    train, test = (backend.to_numpy(Y).mean(axis=1) for Y in (task.Y, task.Y_test))
    if len(train) == 1:
        return float(test[0] if train[0] > 0.5 else 1 - test[0])
    return float(test[train.argmax()])
