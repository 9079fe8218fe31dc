"""Convolution by products that are never laid out; by threads on their own where groups have few channels."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from nnx.interface import FUSED, Array, Window
from nnx_cupy.kernels import Group
from nnx_cupy.launch import BLOCK, Launcher
from nnx_cupy.products import count_tiles, share_out
from nnx_cupy.windows import geometry

CONVOLVE = Group("convolution", ("convolve",))
CONVOLVE_BACKWARD = Group("convolution", ("convolve_backward",))
FEW = Group("convolution", ("convolve_few",))
FEW_BACKWARD = Group("convolution", ("gradient_of_few", "weights_of_few"))
OUTPUT_GRADIENT = Group("convolution", ("output_gradient",))

_FEW = 32
"""Input times output channels of a group up to which threads sum by themselves: a tile has at least 32 by 32."""

_MOST_TAPS = 1024
"""Blocks side by side that each sum for other taps of such a group."""


class _Channels(NamedTuple):
    """The groups of a convolution, and the input and output channels of each."""

    groups: int
    inputs: int
    outputs: int

    def numbers(self) -> tuple[np.generic, ...]:
        return np.int64(self.groups), np.int32(self.inputs), np.int32(self.outputs)

    def few(self) -> bool:
        return self.inputs * self.outputs <= _FEW

    def lanes(self, on: Launcher, *arrays: Array) -> int:
        """Return how many neighbouring channels are moved at once."""
        pack = on.pack(arrays[0].dtype) if all(map(on.is_aligned, arrays)) else 1
        alone = self.few() and self.inputs == self.outputs == 1  # packs then are of groups
        numbers = (self.groups,) if alone else (self.inputs, self.outputs)
        fits = alone or not self.few()
        return pack if fits and all(number % pack == 0 for number in numbers) else 1


class Convolution(Launcher):
    """Kernels that slide weights over images."""

    def conv2d(
        self,
        x: Array,
        w: Array,
        b: Array | None,
        y: Array,
        window: Window,
        groups: int,
        activation: str,
        alpha: float,
    ) -> None:
        """One launch; bias and activation as the results are stored."""
        x, w, channels = self.contiguous(x), self.contiguous(w), _channels(w, groups)
        arrays = x, w, *self.or_any(b, y), y, *geometry(x, y, window), *channels.numbers()
        function = np.int32(FUSED.index(activation)), y.dtype.type(alpha)
        if channels.few():
            lanes = channels.lanes(self, x, w, y)
            kernel = FEW.of("convolve_few", y.dtype, str(lanes))
            self.launch_elements(kernel, y.size // lanes, *arrays, *function)
            return
        rows, depth = y.size // w.shape[3], w.size // w.shape[3]
        tiling = share_out(rows, channels.outputs, depth, self.busy // groups)
        blocks = groups * tiling.tiles * tiling.slices
        scratch = self.scratch(y.dtype, blocks * tiling.reach**2 * BLOCK, groups * tiling.tiles)
        kernel = CONVOLVE.of("convolve", y.dtype, str(tiling.reach), str(channels.lanes(self, x, w)))
        sizes = np.int64(tiling.tiles), np.int64(tiling.slices)
        self.launch(kernel, (blocks,), (*arrays, *sizes, *function, *scratch))

    def conv2d_backward(
        self,
        x: Array,
        y: Array,
        dy: Array,
        w: Array,
        dz: Array | None,
        dx: Array | None,
        dw: Array,
        db: Array | None,
        window: Window,
        groups: int,
        activation: str,
        alpha: float,
    ) -> None:
        """A pass for dz and db, if they are wanted, then all products in one launch."""
        x, w, dy, channels = self.contiguous(x), self.contiguous(w), self.contiguous(dy), _channels(w, groups)
        if dz is not None or db is not None:
            self._output_gradient(self.contiguous(y), dy, dz, db, activation, alpha)
        gradient = dy if dz is None else dz
        numbers = *geometry(x, gradient, window), *channels.numbers()
        if channels.few():
            self._backward_of_few(x, w, gradient, dx, dw, channels, numbers)
            return
        depth = gradient.size // gradient.shape[3]
        tiling = share_out(w.size // w.shape[3], channels.outputs, depth, self.busy // groups)
        blocks = groups * tiling.tiles * tiling.slices
        scratch = self.scratch(w.dtype, blocks * tiling.reach**2 * BLOCK, groups * tiling.tiles)
        lanes = str(channels.lanes(self, x, w, gradient))
        kernel = CONVOLVE_BACKWARD.of("convolve_backward", w.dtype, str(tiling.reach), lanes)
        pixels = x.size // x.shape[3]
        others = 0 if dx is None else count_tiles(pixels, channels.inputs, tiling.reach)
        sizes = np.int64(tiling.tiles), np.int64(tiling.slices), np.int64(others)
        arrays = x, w, gradient, dw if dx is None else dx, dw
        self.launch(kernel, (blocks + groups * others,), (*arrays, *numbers, *sizes, *scratch))

    def _output_gradient(
        self, y: Array, dy: Array, dz: Array | None, db: Array | None, activation: str, alpha: float
    ) -> None:
        kernel = OUTPUT_GRADIENT.of("output_gradient", y.dtype)
        shape = y.size // max(y.shape[3], 1), y.shape[3]
        numbers = np.int32(FUSED.index(activation)), y.dtype.type(alpha)
        arrays = y, dy, *self.or_any(dz, dy), *self.or_any(db, dy)
        self.sum_columns(kernel, shape, *arrays, numbers=numbers, dtype=y.dtype)

    def _backward_of_few(
        self, x: Array, w: Array, dz: Array, dx: Array | None, dw: Array, channels: _Channels, numbers: Any
    ) -> None:
        lanes = channels.lanes(self, x, w, dz, dw, *(() if dx is None else (dx,)))
        if dx is not None:
            kernel = FEW_BACKWARD.of("gradient_of_few", w.dtype, str(lanes))
            self.launch_elements(kernel, dx.size // lanes, w, dz, dx, *numbers)
        outputs = w.shape[3]
        tiling = self.tiling(dz.size // outputs, outputs // lanes)
        taps = min(w.size // outputs, _MOST_TAPS)
        scratch = self.scratch(w.dtype, taps * tiling.grid[1] * outputs, taps * tiling.grid[0])
        sizes = np.int32(tiling.width), np.int64(tiling.rows_per_block)
        kernel = FEW_BACKWARD.of("weights_of_few", w.dtype, str(lanes))
        self.launch(kernel, (*tiling.grid, taps), (x, dz, dw, *numbers, *sizes, *scratch))


def _channels(w: Array, groups: int) -> _Channels:
    return _Channels(groups, w.shape[2], w.shape[3] // groups)
