"""Inputs of the kernels of convolutional and recurrent layers.

Convolutions have 3 x 3 taps without padding and are followed by relu; pooling has windows of 2 x 2. Recurrent
layers go both ways, the products of their inputs included: gradients of all outputs come in, those of everything go
out.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray[Any]]
Draw = Callable[..., NDArray[np.float32]]


def _conv2d(rng: np.random.Generator, images: int, side: int, channels: int, filters: int) -> Arrays:
    normal = _normal(rng)
    x, w = (
        normal(images, side, side, channels),
        normal(3, 3, channels, filters) / np.float32(3 * math.sqrt(channels)),
    )
    return {"x": x, "w": w, "b": normal(filters)}


def _conv2d_backward(rng: np.random.Generator, images: int, side: int, channels: int, filters: int) -> Arrays:
    layer, normal, places = _conv2d(rng, images, side, channels, filters), _normal(rng), side - 2
    y, dy = (normal(images, places, places, filters) for _ in range(2))
    return {"x": layer["x"], "w": layer["w"], "y": np.maximum(y, 0), "dy": dy}


def _max_pool(rng: np.random.Generator, images: int, side: int, channels: int) -> Arrays:
    normal = _normal(rng)
    return {"x": normal(images, side, side, channels), "dy": normal(images, side // 2, side // 2, channels)}


def _recurrent(gates: int, biases: tuple[str, ...]) -> Callable[..., Arrays]:
    def draw(rng: np.random.Generator, sequences: int, steps: int, inputs: int, units: int) -> Arrays:
        normal, wide = _normal(rng), gates * units
        weights = {
            "w": normal(inputs, wide) / np.float32(math.sqrt(inputs)),
            "u": normal(units, wide) / np.float32(math.sqrt(units)),
        }
        arrays = {"x": normal(sequences, steps, inputs), "dy": normal(sequences, steps, units)}
        return {**arrays, **weights, **{name: normal(wide) for name in biases}}

    return draw


def _embedding(rng: np.random.Generator, vocabulary: int, units: int, tokens: int) -> Arrays:
    normal = _normal(rng)
    drawn = rng.integers(0, vocabulary, tokens)
    return {"table": normal(vocabulary, units), "tokens": drawn, "dy": normal(tokens, units)}


def _normal(rng: np.random.Generator) -> Draw:
    return lambda *shape: rng.standard_normal(shape, np.float32)


INPUTS: dict[str, Callable[..., Arrays]] = {
    "conv2d": _conv2d,
    "conv2d_backward": _conv2d_backward,
    "max_pool": _max_pool,
    "lstm": _recurrent(4, ("b",)),
    "gru": _recurrent(3, ("b", "c")),  # c is the bias of the state
    "embedding": _embedding,
}
"""Kernel -> what draws its inputs of a shape."""
