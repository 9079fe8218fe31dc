"""Products by BLAS, with bias, activation and their gradients in one pass of their own; small ones without BLAS."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from nnx.interface import FUSED, Array, Backend
from nnx_numba.activations import FUNCTIONS
from nnx_numba.columns import HEIGHT, PANEL, WIDTH, clear, panels
from nnx_numba.hostarrays import optional, plain, row_grain
from nnx_numba.instructions import stack
from nnx_numba.kernel import Kernel
from nnx_numba.small import SMALL_BACKWARD, SMALL_LINEAR, is_small, is_small_backward


def _epilogue(name: str) -> Kernel:
    function: Callable[..., Any] = FUNCTIONS[name][0]

    def bias_activate(first: int, last: int, y: Array, b: Array | None, alpha: float) -> None:
        """y = f(y + b) in place; units are rows."""
        slope = y.dtype.type(alpha)
        for i in range(first, last):
            row = y[i]
            for j in range(row.size):
                z = row[j] if b is None else row[j] + b[j]
                row[j] = function(z, slope)

    return Kernel(bias_activate, name)


def _prologue(name: str) -> Kernel:
    derivative: Callable[..., Any] = FUNCTIONS[name][1]

    def slopes(
        first: int, last: int, y: Array, dy: Array, dz: Array | None, db: Array | None, alpha: float
    ) -> None:
        """dz = dy f'(z), and db its sums over rows; units are panels of columns."""
        block, sums, slope = stack(dy.dtype.type(0), WIDTH), stack(0.0, WIDTH), dy.dtype.type(alpha)
        stop = min(last * PANEL, dy.shape[1])
        for begin in range(first * PANEL, stop, WIDTH):
            width = min(begin + WIDTH, stop) - begin
            clear(sums, width)
            for start in range(0, dy.shape[0], HEIGHT):
                clear(block, width)
                for i in range(start, min(start + HEIGHT, dy.shape[0])):
                    output, gradient = y[i][begin : begin + width], dy[i][begin : begin + width]
                    for j in range(width):
                        d = gradient[j] * derivative(output[j], output[j], slope)
                        block[j] += d
                        if dz is not None:
                            dz[i, begin + j] = d
                for j in range(width):
                    sums[j] += block[j]
            if db is not None:
                for j in range(width):
                    db[begin + j] = sums[j]

    return Kernel(slopes, name)


_EPILOGUES = {name: _epilogue(name) for name in FUSED}
_PROLOGUES = {name: _prologue(name) for name in FUSED}


class Linear(Backend):
    """Matrix products."""

    def matmul(self, a: Array, b: Array, out: Array, transpose_a: bool, transpose_b: bool) -> None:
        """BLAS takes transposes as they are."""
        np.matmul(a.T if transpose_a else a, b.T if transpose_b else b, out=out)

    def linear(self, x: Array, w: Array, b: Array | None, y: Array, activation: str, alpha: float) -> None:
        """BLAS, then bias and activation in one pass; a small layer in one kernel."""
        if is_small(*x.shape, y.shape[1], y.itemsize):
            SMALL_LINEAR[activation].run(0, 1, plain(x), plain(w), optional(b), y, float(alpha))
            return
        np.matmul(x, w, out=y)
        if b is not None or activation != "identity":
            _EPILOGUES[activation](y.shape[0], row_grain(y.shape[1]), y, optional(b), float(alpha))

    def linear_backward(
        self,
        x: Array,
        y: Array,
        dy: Array,
        w: Array,
        dz: Array | None,
        dx: Array | None,
        dw: Array,
        db: Array | None,
        activation: str,
        alpha: float,
    ) -> None:
        """dz and db in one pass, then BLAS; a small layer in one kernel."""
        if is_small_backward(*x.shape, dw.shape[1], dw.itemsize, dx is not None):
            inputs = plain(x), plain(y), plain(dy), plain(w)
            SMALL_BACKWARD[activation].run(0, 1, *inputs, dz, dx, dw, db, float(alpha))
            return
        if dz is not None or db is not None:
            _PROLOGUES[activation](*panels(*dy.shape), plain(y), plain(dy), dz, db, float(alpha))
        gradient = dy if dz is None else dz
        if dx is not None:
            np.matmul(gradient, w.T, out=dx)
        np.matmul(x.T, gradient, out=dw)
