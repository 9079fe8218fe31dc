"""Random bits and dropout: one thread per Philox block, stores in order by way of shared memory."""

from __future__ import annotations

import numpy as np

from nnx.interface import LANES, Array
from nnx_cupy.kernels import Group
from nnx_cupy.launch import BLOCK, Launcher

RANDOM_BITS = Group("dropout", ("random_bits",))
DROPOUT = Group("dropout", ("dropout",))
CHANNEL_DROPOUT = Group("dropout", ("channel_dropout",))

_CHANNELS = BLOCK * LANES
"""Channels whose random bits a block makes, one Philox block to a thread."""


class Dropout(Launcher):
    """Kernels on counter-based random bits."""

    def random_bits(self, step: Array, out: Array, seed: int, stream: int) -> None:
        """One thread per 16 elements of a row."""
        kernel = RANDOM_BITS.of("random_bits", out.dtype)
        self.launch_elements(kernel, _threads(out.shape), step, out, *_counter(out.shape, seed, stream))

    def dropout(
        self, x: Array, step: Array, y: Array, seed: int, stream: int, threshold: int, sample: int = 0
    ) -> None:
        """The same bits, used where they are made."""
        numbers = np.int64(sample), np.int32(threshold), y.dtype.type(65536 / threshold)
        arguments = self.contiguous(x), step, y, *_counter(y.shape, seed, stream), *numbers
        self.launch_elements(DROPOUT.of("dropout", y.dtype), _threads(y.shape), *arguments)

    def channel_dropout(
        self, x: Array, step: Array, y: Array, seed: int, stream: int, threshold: int, sample: int = 0
    ) -> None:
        """A block makes the bits of a row's channels once, and uses them at many places."""
        x = self.contiguous(x)
        rows, places, channels = x.shape
        lanes = self.aligned_lanes((rows * places, channels), y.dtype, x, y)
        parts = max(1, min(self.most_blocks // max(rows, 1), x.size // max(rows, 1) // (BLOCK * lanes)))
        together = max(1, -(-places // parts))
        grid = rows * -(-places // together), -(-channels // _CHANNELS)
        sizes = np.int64(places), np.int64(channels), np.int64(together)
        numbers = np.int64(sample), np.int32(threshold), y.dtype.type(65536 / threshold)
        kernel = CHANNEL_DROPOUT.of("channel_dropout", y.dtype, str(lanes))
        self.launch(kernel, grid, (x, step, y, *sizes, np.uint64(seed), np.uint64(stream), *numbers))


def _threads(shape: tuple[int, int]) -> int:
    return shape[0] * -(-shape[1] // LANES)


def _counter(shape: tuple[int, int], seed: int, stream: int) -> tuple[np.generic, ...]:
    return np.int64(shape[0]), np.int64(shape[1]), np.uint64(seed), np.uint64(stream)
