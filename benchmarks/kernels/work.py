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
}
"""Kernel -> its work on a shape. The one table that fractions of limits come from."""
