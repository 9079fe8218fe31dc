"""Models whose memory is looked at, and a computer that has little of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import nnx
from nnx import Backend
from nnx.interface import Memory
from nnx_numpy.backend import NumpyBackend

MIB = 1 << 20


LAYERS: dict[str, tuple[Callable[[], list[nnx.Layer]], tuple[int, ...]]] = {
    "dense": (lambda: [nnx.Dense(256, "relu"), nnx.Dense(256, "tanh"), nnx.Dense(3)], (64,)),
    "one value": (lambda: [nnx.Dense(1)], (1,)),
    "norms": (lambda: [nnx.BatchNorm(), nnx.Dropout(0.5), nnx.LayerNorm(), nnx.Dense(2)], (50,)),
    "images": (
        lambda: [nnx.Conv2D(4, 9, padding="same"), nnx.MaxPool2D(7, 1), nnx.Flatten(), nnx.Dense(2)],
        (16, 16, 1),
    ),
    "sequences": (
        lambda: [nnx.Bidirectional(nnx.GRU(9, return_sequences=True)), nnx.LSTM(8), nnx.Dense(2)],
        (40, 3),
    ),
}


class Small(NumpyBackend):
    """NumPy on a computer with little memory left."""

    def __init__(self, free: int | None) -> None:
        self.free = free

    def memory(self) -> Memory:
        return Memory(self.free, 1 << 40)


def network(backend: str | Backend = "numpy", *, units: int = 512, **options: Any) -> nnx.Sequential:
    model = nnx.Sequential([nnx.Dense(units, "relu"), nnx.Dense(units, "relu"), nnx.Dense(10)], backend=backend)
    return model.compile("softmax_cross_entropy", **options)


def digits(count: int = 5000, features: int = 64) -> tuple[Any, Any]:
    return np.zeros((count, features), "float32"), np.arange(count) % 10


@dataclass(eq=False, repr=False)
class Outside(nnx.Layer):
    """Computes with the array library itself."""

    def forward(self, x: Any, context: Any) -> Any:
        del context
        return x * 2, lambda dy: dy * 2


def own(layer: nnx.Layer, backend: str | Backend = "numpy") -> nnx.Sequential:
    return nnx.Sequential([nnx.Dense(8), layer, nnx.Dense(2)], backend=backend).compile("softmax_cross_entropy")
