"""Random bits, and dropout made of them."""

from __future__ import annotations

import numpy as np

from nnx import interface
from nnx.interface import Array
from nnx_numpy.columns import copy_pixels
from nnx_numpy.philox import lane_blocks
from nnx_numpy.plan import Plan, kernel
from nnx_numpy.workspace import row_blocks

_BOOL = np.dtype(np.bool_)
_INT8 = np.dtype(np.int8)


class Dropout(interface.dropout.Dropout):
    """Kernels on counter-based random bits."""

    @kernel
    def random_bits(self, plan: Plan, step: Array, out: Array, seed: int, stream: int) -> None:
        """A block of rows at a time."""
        if out.size == 0:
            return
        for rows, lanes in lane_blocks(plan, out.shape, memoryview(step), seed, stream):
            plan.copy(lanes, out[rows])

    @kernel
    def dropout(
        self, plan: Plan, x: Array, step: Array, y: Array, seed: int, stream: int, threshold: int, sample: int = 0
    ) -> None:
        """Dropped elements are cleared as integers: exact for NaN, a fifth of the cost of a masked copy.

        In a recorded step the backward pass finds the mask of the forward pass, at one byte per element.
        """
        if x.size == 0:
            return
        mask, made = plan.once(("mask", x.shape, seed, stream, threshold, sample), step, x.shape, _INT8)
        if not made:
            _draw_mask(plan, mask, step, seed, stream, threshold, sample)
        bits = y.view(f"i{y.itemsize}")
        for rows in row_blocks(*x.shape):
            plan(np.multiply, x[rows], 65536 / threshold, y[rows])
            plan(np.bitwise_and, bits[rows], mask[rows], bits[rows])

    @kernel
    def channel_dropout(
        self, plan: Plan, x: Array, step: Array, y: Array, seed: int, stream: int, threshold: int, sample: int = 0
    ) -> None:
        """The mask of `dropout`, repeated for the places of a block of rows before it clears them."""
        if x.size == 0:
            return
        rows, places, channels = x.shape
        key = ("mask", (rows, channels), seed, stream, threshold, sample)
        mask, made = plan.once(key, step, (rows, channels), _INT8)
        if not made:
            _draw_mask(plan, mask, step, seed, stream, threshold, sample)
        bits = y.view(f"i{y.itemsize}")
        wide = plan.take("wide mask", mask.shape, bits.dtype)
        plan.copy(mask, wide)
        for some in row_blocks(rows, places * channels):
            repeated = plan.like("repeated mask", bits[some])
            copy_pixels(plan, np.broadcast_to(wide[some, None], repeated.shape), repeated)
            plan(np.multiply, x[some], 65536 / threshold, y[some])
            plan(np.bitwise_and, bits[some], repeated, bits[some])


def _draw_mask(plan: Plan, mask: Array, step: Array, seed: int, stream: int, threshold: int, sample: int) -> None:
    """Set all bits of what is kept, also when widened: -1; clear all others: 0."""
    for rows, lanes in lane_blocks(plan, mask.shape, memoryview(step), seed, stream, sample):
        part = mask[rows]
        plan(np.less_equal, lanes, threshold - 1, part.view(_BOOL))  # 65536 would be out of the lanes' range
        plan(np.negative, part, part)
