"""Products of matrices by BLAS, which reads transposed views in place and writes into the destination."""

from __future__ import annotations

import numpy as np

from nnx import interface
from nnx.interface import Array
from nnx_numpy.activations import FORWARD, FROM_OUTPUT
from nnx_numpy.workspace import by_blocks, column_sums, quiet


class Linear(interface.linear.Linear):
    """Kernels on matrices; `numpy.dot` costs half of what `numpy.matmul` does on small ones."""

    @quiet
    def matmul(self, a: Array, b: Array, out: Array, transpose_a: bool, transpose_b: bool) -> None:
        """One BLAS call."""
        np.dot(a.T if transpose_a else a, b.T if transpose_b else b, out=out)

    @quiet
    def linear(self, x: Array, w: Array, b: Array | None, y: Array, activation: str, alpha: float) -> None:
        """One BLAS call, then bias and activation in place."""
        np.dot(x, w, out=y)  # (N, I) @ (I, O) -> (N, O)
        if b is not None:
            np.add(y, b, out=y)
        if activation != "identity":
            by_blocks(FORWARD[activation], (y, y), alpha)

    @quiet
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
        """Up to three BLAS calls on transposed views."""
        gradient = dy
        if dz is not None:
            by_blocks(FROM_OUTPUT[activation], (y, dy, dz), alpha)
            gradient = dz
        if dx is not None:
            np.dot(gradient, w.T, out=dx)  # (N, O) @ (O, I) -> (N, I)
        np.dot(x.T, gradient, out=dw)  # (I, N) @ (N, O) -> (I, O)
        if db is not None:
            column_sums(gradient, db)
