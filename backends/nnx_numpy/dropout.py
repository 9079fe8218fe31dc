"""Random bits, and dropout made of them."""

from __future__ import annotations

import numpy as np

from nnx import interface
from nnx.interface import Array
from nnx_numpy.philox import lane_blocks
from nnx_numpy.workspace import quiet, workspace

_BOOL = np.dtype(np.bool_)


class Dropout(interface.dropout.Dropout):
    """Kernels on counter-based random bits."""

    def random_bits(self, step: Array, out: Array, seed: int, stream: int) -> None:
        """A block of rows at a time."""
        if out.size == 0:
            return
        for rows, lanes in lane_blocks(out.shape, int(step), seed, stream):
            out[rows] = lanes

    @quiet
    def dropout(self, x: Array, step: Array, y: Array, seed: int, stream: int, threshold: int) -> None:
        """Dropped elements are cleared as integers: exact for NaN, a fifth of the cost of a masked copy."""
        if x.size == 0:
            return
        bits = y.view(f"i{y.itemsize}")
        for rows, lanes in lane_blocks(x.shape, int(step), seed, stream):
            keep = workspace.take("keep", lanes.shape, _BOOL)
            np.less(lanes, threshold, out=keep)
            mask = keep.view(np.int8)
            np.negative(mask, out=mask)  # 1 -> all bits set, also when widened
            np.multiply(x[rows], 65536 / threshold, out=y[rows])
            np.bitwise_and(bits[rows], mask, out=bits[rows])
