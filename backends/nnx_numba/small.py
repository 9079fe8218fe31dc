"""Dense layers so small that the calls cost more than the work: all of a layer in one kernel, without BLAS."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from nnx.interface import FUSED, Array
from nnx_numba.activations import FUNCTIONS
from nnx_numba.kernel import Kernel
from nnx_numba.product import LINE, ROWS, multiply

SMALL = 6700
"""Up to how much work, in the units of `_work`, a product is small: in float32 it took at most about 1/1.2 of the
time of BLAS and a second kernel there, in float64 at most about as long, and mostly 1/1.5 to 1/2 well below.
Measured on one Zen 5 core (AVX-512) with NumPy 2.4 and its OpenBLAS."""

_TILE = 8  # what a tile costs besides its depth, in lines
_COPIED = 4  # what packing a line costs: copied as it lies,
_GATHERED = 24  # or gathered from a transposed matrix
_VECTOR = 2  # how much faster than other products BLAS is with a single column


def _work(rows: int, depth: int, columns: int, itemsize: int, packing: int) -> int:
    """Lines that (rows, depth) @ (depth, columns) adds up, and what packing and tiles cost in such lines."""
    lines = _VECTOR if columns == 1 else -(-columns * itemsize // LINE)
    return lines * (max(rows, ROWS) * (depth + _TILE) + packing * depth)


@lru_cache(1024)
def is_small(rows: int, inputs: int, outputs: int, itemsize: int) -> bool:
    """Tell whether `small_linear` is the faster way."""
    return _work(rows, inputs, outputs, itemsize, _COPIED) <= SMALL


@lru_cache(1024)
def is_small_backward(rows: int, inputs: int, outputs: int, itemsize: int, wants_dx: bool) -> bool:
    """Tell whether `small_backward` is the faster way."""
    work = _work(inputs, rows, outputs, itemsize, _COPIED)  # dw = x.T @ dz
    if wants_dx:
        work = max(work, _work(rows, outputs, inputs, itemsize, _GATHERED))  # dx = dz @ w.T
    return work <= SMALL


def _forward(name: str) -> Kernel:
    function: Callable[..., Any] = FUNCTIONS[name][0]

    def small_linear(
        first: int,  # noqa: ARG001
        last: int,  # noqa: ARG001
        x: Array,
        w: Array,
        b: Array | None,
        y: Array,
        alpha: float,
    ) -> None:
        """y = f(x @ w + b); one unit."""
        multiply(x, w, b, y)
        row, slope = y.reshape(y.size), y.dtype.type(alpha)
        for i in range(row.size):
            row[i] = function(row[i], slope)

    return Kernel(small_linear, name)


def _backward(name: str) -> Kernel:
    derivative: Callable[..., Any] = FUNCTIONS[name][1]

    def small_backward(
        first: int,  # noqa: ARG001
        last: int,  # noqa: ARG001
        x: Array,
        y: Array,
        dy: Array,
        w: Array,
        dz: Array | None,
        dx: Array | None,
        dw: Array,
        db: Array | None,
        alpha: float,
    ) -> None:
        """dz, db, dw and dx; one unit."""
        if dz is None:
            gradient = dy
        else:
            gradient, slope = dz, dy.dtype.type(alpha)
            flat, output, given = dz.reshape(dz.size), y.reshape(y.size), dy.reshape(dy.size)
            for i in range(flat.size):
                flat[i] = given[i] * derivative(output[i], output[i], slope)
        if db is not None:
            for j in range(db.size):
                db[j] = 0
            for i in range(gradient.shape[0]):
                row = gradient[i]
                for j in range(row.size):
                    db[j] += row[j]
        multiply(x.T, gradient, None, dw)
        if dx is not None:
            multiply(gradient, w.T, None, dx)

    return Kernel(small_backward, name)


SMALL_LINEAR = {name: _forward(name) for name in FUSED}
SMALL_BACKWARD = {name: _backward(name) for name in FUSED}
"""One kernel for each activation, compiled when it is first used."""
