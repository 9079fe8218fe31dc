"""Products and dense layers, by whoever multiplies matrices for this backend."""

from __future__ import annotations

from typing import Any

from nnx.interface import Array
from nnx_cupy.device import Runtime
from nnx_cupy.kernels import Kernels
from nnx_cupy.launch import Launcher
from nnx_cupy.products import Products


class Linear(Launcher):
    """Kernels on matrices."""

    def __init__(self, xp: Any, kernels: Kernels, runtime: Runtime, products: Products) -> None:
        """Keep what multiplies matrices, too."""
        super().__init__(xp, kernels, runtime)
        self.products = products

    def matmul(self, a: Array, b: Array, out: Array, transpose_a: bool, transpose_b: bool) -> None:
        """Transposed operands are taken as they lie."""
        self.products.matmul(self, a, b, out, transpose_a, transpose_b)

    def linear(self, x: Array, w: Array, b: Array | None, y: Array, activation: str, alpha: float) -> None:
        """The product, with bias and activation as it is stored or in one pass over it."""
        self.products.linear(self, x, w, b, y, activation, alpha)

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
        """The products, with dz and db on the way or in one pass before them."""
        self.products.linear_backward(self, x, y, dy, w, dz, dx, dw, db, activation, alpha)
