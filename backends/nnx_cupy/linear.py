"""Products by cuBLAS, with own kernels for bias, activation and their gradients."""

from __future__ import annotations

import numpy as np

from nnx.interface import Array
from nnx_cupy.activations import ELEMENTWISE_KERNELS, functor
from nnx_cupy.kernels import Group
from nnx_cupy.launch import Launcher

DENSE = Group("linear", ("bias_activation", "gradient_sums"))


class Linear(Launcher):
    """Kernels on matrices."""

    def matmul(self, a: Array, b: Array, out: Array, transpose_a: bool, transpose_b: bool) -> None:
        """By cuBLAS, which takes transposed operands as they lie."""
        self.xp.matmul(a.T if transpose_a else a, b.T if transpose_b else b, out=out)

    def linear(self, x: Array, w: Array, b: Array | None, y: Array, activation: str, alpha: float) -> None:
        """The product, and one pass over it for bias and activation."""
        self.xp.matmul(x, w, out=y)
        if b is not None or activation != "identity":
            kernel = DENSE.of("bias_activation", y.dtype, functor(activation))
            numbers = np.int64(y.size), np.int64(y.shape[1]), y.dtype.type(alpha)
            self.launch_elements(kernel, y.size, y, *self.or_any(b, y), *numbers)

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
        """One pass for dz and db, then the products."""
        self._gradient(self.contiguous(y), self.contiguous(dy), dz, db, activation, alpha)
        gradient = dy if dz is None else dz
        if dx is not None:
            self.xp.matmul(gradient, w.T, out=dx)  # (N, O) @ (O, I) -> (N, I)
        self.xp.matmul(x.T, gradient, out=dw)  # (I, N) @ (N, O) -> (I, O)

    def _gradient(
        self, y: Array, dy: Array, dz: Array | None, db: Array | None, activation: str, alpha: float
    ) -> None:
        function, factor = functor(activation), y.dtype.type(alpha)
        if db is not None:
            kernel = DENSE.of("gradient_sums", y.dtype, function)
            arguments = y, dy, *self.or_any(dz, db), db
            self.sum_columns(kernel, y.shape, *arguments, numbers=(factor,), dtype=y.dtype)
        elif dz is not None:
            kernel = ELEMENTWISE_KERNELS.of("activate_backward", y.dtype, function)
            self.launch_elements(kernel, y.size, y, y, dy, dz, np.int64(y.size), factor)
