"""Products of matrices by BLAS, which reads transposed views in place and writes into the destination."""

from __future__ import annotations

import numpy as np

from nnx import interface
from nnx.interface import Array
from nnx_numpy.activations import FORWARD, FROM_OUTPUT
from nnx_numpy.blocks import broadcast, by_blocks, column_sums
from nnx_numpy.plan import Plan, kernel
from nnx_numpy.workspace import row_blocks


class Linear(interface.linear.Linear):
    """Kernels on matrices; on small ones an array's method `dot` costs a third of what `numpy.matmul` does."""

    @kernel
    def matmul(self, plan: Plan, a: Array, b: Array, out: Array, transpose_a: bool, transpose_b: bool) -> None:
        """One BLAS call."""
        plan((a.T if transpose_a else a).dot, b.T if transpose_b else b, out)

    @kernel
    def linear(
        self, plan: Plan, x: Array, w: Array, b: Array | None, y: Array, activation: str, alpha: float
    ) -> None:
        """One BLAS call, then bias and activation in place, a block of rows at a time."""
        plan(x.dot, w, y)  # (N, I) @ (I, O) -> (N, O)
        for rows in row_blocks(*y.shape):
            part = y[rows]
            if b is not None:
                broadcast(plan, np.add, part, b, part)
            if activation != "identity":
                FORWARD[activation](plan, part.reshape(-1), part.reshape(-1), alpha)

    @kernel
    def linear_backward(
        self,
        plan: Plan,
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
            by_blocks(plan, FROM_OUTPUT[activation], (y, dy, dz), alpha)
            gradient = dz
        if dx is not None:
            plan(gradient.dot, w.T, dx)  # (N, O) @ (O, I) -> (N, I)
        plan(x.T.dot, gradient, dw)  # (I, N) @ (N, O) -> (I, O)
        if db is not None:
            column_sums(plan, gradient, db)
