"""Random bits, and dropout made of them."""

from __future__ import annotations

import numpy as np

from nnx import interface
from nnx.interface import Array
from nnx_numpy.philox import lane_blocks
from nnx_numpy.plan import Plan, kernel

_BOOL = np.dtype(np.bool_)


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
    def dropout(self, plan: Plan, x: Array, step: Array, y: Array, seed: int, stream: int, threshold: int) -> None:
        """Dropped elements are cleared as integers: exact for NaN, a fifth of the cost of a masked copy."""
        if x.size == 0:
            return
        bits = y.view(f"i{y.itemsize}")
        for rows, lanes in lane_blocks(plan, x.shape, memoryview(step), seed, stream):
            keep = plan.take("keep", lanes.shape, _BOOL)
            mask = keep.view(np.int8)
            plan(np.less_equal, lanes, threshold - 1, keep)  # 65536 would be out of the lanes' range
            plan(np.negative, mask, mask)  # 1 -> all bits set, also when widened
            plan(np.multiply, x[rows], 65536 / threshold, y[rows])
            plan(np.bitwise_and, bits[rows], mask, bits[rows])
