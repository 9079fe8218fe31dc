"""Small problems on sequences of unequal lengths, and networks for them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

import nnx
from nnx import Backend, Layer

STEPS, FEATURES, CLASSES = 6, 3, 4
LENGTHS = np.array([6, 1, 4, 5, 2, 6, 3, 1, 4, 2, 6])
"""Whole, halved and single-step sequences; eleven of them make a ragged last batch of most sizes."""


def padded_inputs(filler: float = 7.0) -> NDArray[Any]:
    """Return sequences with `filler` in their padding."""
    x = np.random.default_rng(31).normal(size=(len(LENGTHS), STEPS, FEATURES))
    x[padding()] = filler
    return x


def padding() -> NDArray[np.bool_]:
    """Return which steps are padding, (M, T)."""
    return np.arange(STEPS) >= LENGTHS[:, None]


def targets(loss: str) -> NDArray[Any]:
    """Return targets per step for a loss on CLASSES outputs: labels, bits or values, in the padding too."""
    random = np.random.default_rng(32)
    shape = (len(LENGTHS), STEPS)
    if loss == "softmax_cross_entropy":
        return random.integers(0, CLASSES, shape)
    if loss == "sigmoid_cross_entropy":
        return random.integers(0, 2, (*shape, CLASSES))
    return random.normal(size=(*shape, CLASSES))


def sequence_network(
    backend: Backend | str, loss: str = "softmax_cross_entropy", *, per_step: bool = True, **options: Any
) -> nnx.Sequential:
    """Make a recurrent network with float64 weights, dropout not among its layers."""
    layers: list[Layer] = [
        nnx.LSTM(5, return_sequences=True),
        nnx.Bidirectional(nnx.GRU(4, return_sequences=per_step)),
        nnx.Dense(CLASSES),
    ]
    model = nnx.Sequential(
        layers, seed=3, dtype="float64", input_shape=(STEPS, FEATURES), backend=backend, **options
    )
    return model.compile(loss, nnx.SGD(0.1))
