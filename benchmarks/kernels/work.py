"""The least work of each kernel: floating-point operations, and bytes that must move between memory and cores.

Bytes are compulsory traffic in float32: every input read once, every result written once, whatever a method
does on top (a second pass, a stored mask, memory read only to be overwritten). A kernel that goes both ways is
the sum of its two passes. Operations are counted for products only, where they and not the bytes are the limit.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

FLOAT, INDEX = 4, 8

ACTIVATIONS = ("relu", "leaky_relu", "elu", "sigmoid", "tanh", "softplus", "gelu", "silu")


class Work(NamedTuple):
    """What one call cannot do without.

    Attributes:
        flops: floating-point operations, 0 where memory is the limit.
        bytes: read and written.
        footprint: bytes of all arrays of the call, each once: what decides on which level of memory it lives.
        in_place: whether everything written has been read just before.
    """

    flops: float
    bytes: float
    footprint: float
    in_place: bool = False


def _product(m: int, k: int, n: int) -> Work:
    bytes_ = FLOAT * (m * k + k * n + m * n)
    return Work(2.0 * m * k * n, bytes_, bytes_)


def _linear(rows: int, inputs: int, outputs: int) -> Work:
    bytes_ = FLOAT * (rows * inputs + inputs * outputs + outputs + rows * outputs)
    return Work(2.0 * rows * inputs * outputs, bytes_, bytes_)


def _linear_backward(rows: int, inputs: int, outputs: int) -> Work:
    # reads x, y, dy, w; writes dz, dx, dw, db
    bytes_ = FLOAT * (2 * rows * inputs + 3 * rows * outputs + 2 * inputs * outputs + outputs)
    return Work(4.0 * rows * inputs * outputs, bytes_, bytes_)


def _elements(moved: int, arrays: int, in_place: bool = False) -> Callable[..., Work]:
    """Return the work of a kernel that moves so many floats per element, of so many different arrays."""

    def work(*shape: int) -> Work:
        count = math.prod(shape)
        return Work(0.0, FLOAT * moved * count, FLOAT * arrays * count, in_place)

    return work


def _gather(source: int, features: int, rows: int) -> Work:
    del source  # rows that are not taken are not touched
    bytes_ = 2 * FLOAT * rows * features + INDEX * rows
    return Work(0.0, bytes_, bytes_)


def _conv2d(images: int, side: int, channels: int, filters: int) -> Work:
    # reads x, w, b; writes y
    read, written, weights = _image_counts(images, side, channels, filters)
    bytes_ = FLOAT * (read + weights + filters + written)
    return Work(2.0 * written * 9 * channels, bytes_, bytes_)


def _conv2d_backward(images: int, side: int, channels: int, filters: int) -> Work:
    # reads x, y, dy, w; writes dz, dx, dw, db
    read, written, weights = _image_counts(images, side, channels, filters)
    bytes_ = FLOAT * (2 * read + 3 * written + 2 * weights + filters)
    return Work(4.0 * written * 9 * channels, bytes_, bytes_)


def _image_counts(images: int, side: int, channels: int, filters: int) -> tuple[int, int, int]:
    """Return the numbers of the inputs, of the outputs and of the weights of 3 x 3 taps without padding."""
    return images * side**2 * channels, images * (side - 2) ** 2 * filters, 9 * channels * filters


def _max_pool(images: int, side: int, channels: int) -> Work:
    # x -> y, index; then index, dy -> dx
    whole, pooled = images * side**2 * channels, images * (side // 2) ** 2 * channels
    return Work(0.0, FLOAT * (2 * whole + 4 * pooled), FLOAT * (2 * whole + 3 * pooled))


def _recurrent(gates: int, kept: int) -> Callable[..., Work]:
    """Return the work of a recurrent layer that goes both ways, and keeps so many numbers per unit and step."""

    def work(sequences: int, steps: int, inputs: int, units: int) -> Work:
        rows = sequences * steps
        weights = gates * units * (inputs + units)
        # reads x, w, u, dy and what is kept; writes y, what is kept, dx, dw, du
        bytes_ = FLOAT * (2 * rows * (inputs + units + kept * units) + 2 * weights)
        return Work(6.0 * rows * weights, bytes_, bytes_)

    return work


def _embedding(vocabulary: int, units: int, tokens: int) -> Work:
    # rows of the table -> y; then dy -> dtable, all of which is written
    bytes_ = FLOAT * (3 * tokens * units + vocabulary * units) + 2 * INDEX * tokens
    return Work(0.0, bytes_, bytes_)


WORK: dict[str, Callable[..., Work]] = {
    "matmul": _product,
    "matmul_a_transposed": _product,
    "matmul_b_transposed": _product,
    "linear": _linear,
    "linear_backward": _linear_backward,
    **{name: _elements(2, 2) for name in ACTIVATIONS},  # x -> y
    **{f"{name}_backward": _elements(3, 3) for name in ACTIVATIONS},  # x or y, dy -> dx
    "softmax_cross_entropy": _elements(2, 2),  # logits -> dlogits; labels and loss are negligible
    "batch_norm": _elements(5, 4),  # x -> y, then x, dy -> dx
    "dropout": _elements(4, 4),  # x -> y, then dy -> dx
    "sgd": _elements(3, 2, True),  # p, g -> p
    "momentum": _elements(5, 3, True),  # p, g, v -> p, v
    "nesterov": _elements(5, 3, True),
    "rmsprop": _elements(5, 3, True),
    "adam": _elements(7, 4, True),  # p, g, m, v -> p, m, v
    "adamw": _elements(7, 4, True),
    "take_rows": _gather,
    "conv2d": _conv2d,
    "conv2d_backward": _conv2d_backward,
    "max_pool": _max_pool,
    "lstm": _recurrent(4, 5),  # four gates and the cell
    "gru": _recurrent(3, 4),  # three gates, and what the reset gate is applied to
    "embedding": _embedding,
}
"""Kernel -> its work on a shape. The one table that fractions of limits come from."""
