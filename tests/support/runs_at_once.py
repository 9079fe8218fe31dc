"""Networks of every kind, built, trained and asked for predictions in one call, in any thread or process."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

import nnx
from nnx.interface import Array
from nnx.layers import Backward, Context
from support.problems import full_network


@dataclass(eq=False, repr=False)
class TanhResidual(nnx.Layer):
    """y = x + tanh x: a layer as users write their own."""

    def forward(self, x: Array, context: Context) -> tuple[Array, Backward]:
        del context
        ops = self.ops
        t = ops.activate(x, "tanh", 0.0)

        def backward(dy: Array) -> Array:
            return ops.add(dy, ops.activate_backward(x, t, dy, "tanh", 0.0))

        return ops.add(x, t), backward


def _numbers(*shape: int) -> NDArray[Any]:
    return np.random.default_rng(len(shape)).normal(size=shape)


ROWS, CLASSES = 26, 3
LENGTHS = np.arange(ROWS) % 5 + 1

Network = tuple[Callable[[], list[nnx.Layer]], NDArray[Any], dict[str, Any]]

NETWORKS: dict[str, Network] = {
    "dense": (lambda: [nnx.Dense(40, activation="relu"), nnx.Dense(20, activation="gelu")], _numbers(ROWS, 30), {}),
    "batch norm": (lambda: [nnx.Dense(24), nnx.BatchNorm(), nnx.Activation("relu")], _numbers(ROWS, 20), {}),
    "dropout": (lambda: [nnx.Dense(50), nnx.Dropout(0.4), nnx.LayerNorm()], _numbers(ROWS, 12), {}),
    "images": (
        lambda: [nnx.Conv2D(6, 3, activation="relu"), nnx.MaxPool2D(2), nnx.Flatten()],
        _numbers(ROWS, 9, 9, 2),
        {},
    ),
    "sequences": (lambda: [nnx.LSTM(7)], _numbers(ROWS, 5, 4), {"lengths": LENGTHS}),
    "tokens": (lambda: [nnx.Embedding(11, 6), nnx.GRU(5)], np.arange(5 * ROWS).reshape(ROWS, 5) % 11, {}),
    "own layer": (lambda: [nnx.Dense(16), TanhResidual()], _numbers(ROWS, 8), {}),
    "residual": (lambda: [nnx.Residual([nnx.Dense(9, activation="tanh")]), nnx.BatchNorm()], _numbers(ROWS, 9), {}),
}


def network(name: str, backend: str, seed: int = 3) -> nnx.Sequential:
    """Make a classifier and compile it."""
    layers, x, _ = NETWORKS[name]
    with nnx.use_backend(backend):
        model = nnx.Sequential([*layers(), nnx.Dense(CLASSES)], seed=seed, input_shape=x.shape[1:])
    return model.compile("softmax_cross_entropy", nnx.Adam(0.01, clip_norm=1.0), l2=0.01)


def fit(name: str, model: nnx.Sequential, **more: Any) -> None:
    """Train it for two epochs with a ragged last batch (26 = 3 * 8 + 2)."""
    _, x, options = NETWORKS[name]
    model.fit(x, np.arange(ROWS) % CLASSES, epochs=2, batch_size=8, **options, **more)


def predict(name: str, model: nnx.Sequential, batch_size: int = 1024) -> NDArray[Any]:
    """Return the predictions for its inputs."""
    _, x, options = NETWORKS[name]
    return model.predict(x, batch_size=batch_size, **options)


def run(name: str, backend: str, gate: threading.Barrier | None = None) -> list[NDArray[Any]]:
    """Build, train and predict; return all that training changes, and the predictions.

    Args:
        name: of a network.
        backend: what to compute on.
        gate: where to wait for others, before the network is built and before it is trained.
    """
    if gate is not None:
        gate.wait()
    model = network(name, backend)
    if gate is not None:
        gate.wait()
    fit(name, model)
    return [*model.to_host().arrays, predict(name, model)]


def same(one: list[NDArray[Any]], other: list[NDArray[Any]]) -> bool:
    """Tell whether two results agree in every bit."""
    return len(one) == len(other) and all(a.tobytes() == b.tobytes() for a, b in zip(one, other, strict=True))


def save_often(path: str, seed: int) -> None:
    """Save a model of this seed in a file, ten times; a process of its own does it."""
    model = full_network("numpy", seed=seed)
    for _ in range(10):
        model.save(path)
