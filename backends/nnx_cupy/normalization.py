"""Batch normalisation by tiles of columns, layer normalisation by teams on rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnx.interface import Array
from nnx_cupy.kernels import Group
from nnx_cupy.launch import BLOCK, Launcher

BATCH_NORM = Group("normalization", ("batch_norm_statistics", "batch_norm_apply", "batch_norm_slope"))
BATCH_NORM_HELD = Group("normalization", ("batch_norm_held", "batch_norm_backward_held"))
BATCH_NORM_INFER = Group("normalization", ("batch_norm_infer",))
SCALE_GRADIENTS = Group("normalization", ("scale_gradients",))
LAYER_NORM = Group("normalization", ("layer_norm", "layer_norm_slope"))

_HELD_WIDTH = 8
_HELD_ROWS = 8 * BLOCK // _HELD_WIDTH
"""Rows of a batch up to which eight columns fit in the registers of a block, eight rows to a thread."""


class Normalization(Launcher):
    """Kernels that centre and scale."""

    def batch_norm(
        self,
        x: Array,
        gamma: Array,
        beta: Array,
        running_mean: Array,
        running_var: Array,
        y: Array,
        mean: Array,
        rstd: Array,
        momentum: float,
        eps: float,
    ) -> None:
        """Up to 256 rows held on chip; else the statistics in one pass, and y in another."""
        x, gamma, beta = self.contiguous(x), self.contiguous(gamma), self.contiguous(beta)
        number = x.dtype.type
        numbers = number(1 - momentum), number(momentum), number(eps)
        if x.shape[0] <= _HELD_ROWS:
            results = running_mean, running_var, y, mean, rstd
            self._launch_held("batch_norm_held", x, gamma, beta, *results, numbers=numbers)
            return
        self.sum_columns(
            BATCH_NORM.of("batch_norm_statistics", x.dtype),
            x.shape,
            *(x, mean, rstd, running_mean, running_var),
            numbers=numbers,
            dtype=x.dtype,
            sums=2,
        )
        kernel = BATCH_NORM.of("batch_norm_apply", x.dtype)
        self.launch_tiles(kernel, x.shape, x, gamma, beta, mean, rstd, y)

    def batch_norm_infer(
        self,
        x: Array,
        gamma: Array,
        beta: Array,
        running_mean: Array,
        running_var: Array,
        y: Array,
        eps: float,
    ) -> None:
        """One pass."""
        inputs = (self.contiguous(array) for array in (x, gamma, beta, running_mean, running_var))
        kernel = BATCH_NORM_INFER.of("batch_norm_infer", x.dtype)
        self.launch_tiles(kernel, x.shape, *inputs, y, x.dtype.type(eps))

    def batch_norm_backward(
        self,
        x: Array,
        gamma: Array,
        mean: Array,
        rstd: Array,
        dy: Array,
        dx: Array | None,
        dgamma: Array,
        dbeta: Array,
    ) -> None:
        """Up to 256 rows held on chip; else both sums in one pass, and dx in another."""
        x, gamma, mean, rstd, dy = (self.contiguous(array) for array in (x, gamma, mean, rstd, dy))
        if x.shape[0] <= _HELD_ROWS:
            results = *self.or_any(dx, dgamma), dgamma, dbeta
            self._launch_held("batch_norm_backward_held", x, gamma, mean, rstd, dy, *results)
            return
        self._scale_gradients("ByColumn", x, mean, rstd, dy, dgamma, dbeta)
        if dx is not None:
            kernel = BATCH_NORM.of("batch_norm_slope", x.dtype)
            self.launch_tiles(kernel, x.shape, x, gamma, mean, rstd, dy, dgamma, dbeta, dx)

    def layer_norm(
        self, x: Array, gamma: Array, beta: Array, y: Array, mean: Array, rstd: Array, eps: float
    ) -> None:
        """A team of threads per row."""
        inputs = (self.contiguous(array) for array in (x, gamma, beta))
        kernel = LAYER_NORM.of("layer_norm", x.dtype)
        self.launch_rows(kernel, x.shape, *inputs, y, mean, rstd, x.dtype.type(eps))

    def layer_norm_backward(
        self,
        x: Array,
        gamma: Array,
        mean: Array,
        rstd: Array,
        dy: Array,
        dx: Array | None,
        dgamma: Array,
        dbeta: Array,
    ) -> None:
        """A team of threads per row for dx, tiles of columns for the sums."""
        x, gamma, mean, rstd, dy = (self.contiguous(array) for array in (x, gamma, mean, rstd, dy))
        self._scale_gradients("ByRow", x, mean, rstd, dy, dgamma, dbeta)
        if dx is not None:
            kernel = LAYER_NORM.of("layer_norm_slope", x.dtype)
            self.launch_rows(kernel, x.shape, x, gamma, mean, rstd, dy, dx)

    def _launch_held(self, kernel: str, x: Array, *arrays: Any, numbers: tuple[Any, ...] = ()) -> None:
        rows, columns = x.shape
        extents = np.int64(rows), np.int64(columns), np.int32(_HELD_WIDTH)
        grid = (-(-columns // _HELD_WIDTH),)
        self.launch(BATCH_NORM_HELD.of(kernel, x.dtype), grid, (x, *arrays, *extents, *numbers))

    def _scale_gradients(
        self, by: str, x: Array, mean: Array, rstd: Array, dy: Array, dgamma: Array, dbeta: Array
    ) -> None:
        kernel = SCALE_GRADIENTS.of("scale_gradients", x.dtype, by)
        self.sum_columns(kernel, x.shape, x, mean, rstd, dy, dgamma, dbeta, dtype=x.dtype, sums=2)
