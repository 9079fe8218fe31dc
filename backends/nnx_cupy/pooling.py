"""Pooling: a thread for each place, or for each pixel on the way back, and its neighbouring channels."""

from __future__ import annotations

import numpy as np

from nnx.interface import Array, Window
from nnx_cupy.kernels import Group
from nnx_cupy.launch import Launcher
from nnx_cupy.windows import geometry

MAX_POOL = Group("pooling", ("max_pool", "max_pool_backward"))
AVERAGE_POOL = Group("pooling", ("average_pool", "average_pool_backward"))


class Pooling(Launcher):
    """Kernels that make one number of every window."""

    def max_pool(self, x: Array, y: Array, index: Array, window: Window) -> None:
        """A thread goes through the taps of its place."""
        self._pool(MAX_POOL, "max_pool", y, (self.contiguous(x), y, index), x, y, window)

    def max_pool_backward(self, index: Array, dy: Array, dx: Array, window: Window) -> None:
        """A thread goes through the places that hold its pixel."""
        arrays = self.contiguous(index), self.contiguous(dy), dx
        self._pool(MAX_POOL, "max_pool_backward", dx, arrays, dx, dy, window)

    def average_pool(self, x: Array, y: Array, window: Window) -> None:
        """A thread goes through the taps of its place."""
        self._pool(AVERAGE_POOL, "average_pool", y, (self.contiguous(x), y), x, y, window)

    def average_pool_backward(self, dy: Array, dx: Array, window: Window) -> None:
        """A thread goes through the places that hold its pixel."""
        arrays = self.contiguous(dy), dx
        self._pool(AVERAGE_POOL, "average_pool_backward", dx, arrays, dx, dy, window)

    def _pool(
        self, group: Group, name: str, made: Array, arrays: tuple[Array, ...], x: Array, y: Array, window: Window
    ) -> None:
        """Launch a kernel with a thread for each pack of channels of `made`."""
        channels = made.shape[-1]
        lanes = self.aligned_lanes((made.size // max(channels, 1), channels), made.dtype, *arrays)
        kernel = group.of(name, made.dtype, str(lanes))
        self.launch_elements(kernel, made.size // lanes, *arrays, *geometry(x, y, window), np.int64(channels))
