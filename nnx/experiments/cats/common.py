"""What the experiments on the photographs of cats have in common."""

from __future__ import annotations

from typing import Any

from nnx.experiments.experiment import Quantity
from nnx.experiments.training import AFTER, BEFORE, SECONDS, TEST, TRAIN, Training
from nnx.optimizers import SGD

ITERATIONS = 2500
LEARNING_RATE = 0.0075
SOURCE = (
    "A report on a network written by hand for the cat pictures of the course 'Neural Networks and Deep Learning' "
    "(deeplearning.ai, 2017): single runs."
)

QUANTITIES = (
    Quantity(TRAIN, 2, 100, " %", "high"),
    Quantity(TEST, 0, 100, " %", "high"),
    Quantity(BEFORE),
    Quantity(AFTER, better="low"),
    Quantity(SECONDS, 1, unit=" s", better="low", comparable=False),
)

SETTINGS = {
    "data": "209 photographs of 64x64 pixels to train on, 50 to test on; 12288 inputs in [0, 1]",
    "optimizer": f"gradient descent, all examples at once, learning rate {LEARNING_RATE}",
    "iterations": str(ITERATIONS),
    "loss": "cross-entropy of one sigmoid output",
}


def training(hidden: tuple[int, ...], **options: Any) -> Training:
    """Return a network on the photographs, trained as published unless an option says otherwise."""
    usual: dict[str, Any] = {"optimizer": SGD(LEARNING_RATE), "epochs": ITERATIONS}
    return Training("cats", hidden, **{**usual, **options})


def published(train: float, test: float, before: float, after: float) -> dict[str, float]:
    """Name the four values that were published of a row."""
    return {TRAIN: train, TEST: test, BEFORE: before, AFTER: after}
