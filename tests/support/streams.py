"""Models of sequences that stream, and what they are given."""

from __future__ import annotations

import numpy as np

import nnx
from nnx import Backend

STEPS = 9
X = np.random.default_rng(2).normal(size=(3, STEPS, 4))
TOKENS = np.random.default_rng(2).integers(0, 6, (3, STEPS))


def recurrent(backend: Backend | str, *, return_sequences: bool = True) -> nnx.Sequential:
    layers = [
        nnx.LSTM(5, return_sequences=True),
        nnx.Dropout(0.5),
        nnx.LayerNorm(),
        nnx.Residual([nnx.SimpleRNN(5, return_sequences=True)]),
        nnx.GRU(3, return_sequences=return_sequences),
        nnx.Dense(3),
    ]
    model = nnx.Sequential(layers, seed=4, dtype="float64", input_shape=(STEPS, 4), backend=backend)
    return model.compile("softmax_cross_entropy", nnx.SGD(0.1))


def speaking(backend: Backend | str) -> nnx.Sequential:
    layers = [nnx.Embedding(6, 4), nnx.LSTM(5, return_sequences=True), nnx.Dense(6)]
    model = nnx.Sequential(layers, seed=4, dtype="float64", input_shape=(STEPS,), backend=backend)
    return model.compile("softmax_cross_entropy")
