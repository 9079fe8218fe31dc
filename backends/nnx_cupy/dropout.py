"""Random bits and dropout: one thread per Philox block, stores in order by way of shared memory."""

from __future__ import annotations

import numpy as np

from nnx.interface import LANES, Array
from nnx_cupy.kernels import Group
from nnx_cupy.launch import Launcher

RANDOM_BITS = Group("dropout", ("random_bits",))
DROPOUT = Group("dropout", ("dropout",))


class Dropout(Launcher):
    """Kernels on counter-based random bits."""

    def random_bits(self, step: Array, out: Array, seed: int, stream: int) -> None:
        """One thread per 16 elements of a row."""
        kernel = RANDOM_BITS.of("random_bits", out.dtype)
        self.launch_elements(kernel, _threads(out.shape), step, out, *_counter(out.shape, seed, stream))

    def dropout(self, x: Array, step: Array, y: Array, seed: int, stream: int, threshold: int) -> None:
        """The same bits, used where they are made."""
        numbers = np.int32(threshold), y.dtype.type(65536 / threshold)
        arguments = self.contiguous(x), step, y, *_counter(y.shape, seed, stream), *numbers
        self.launch_elements(DROPOUT.of("dropout", y.dtype), _threads(y.shape), *arguments)


def _threads(shape: tuple[int, int]) -> int:
    return shape[0] * -(-shape[1] // LANES)


def _counter(shape: tuple[int, int], seed: int, stream: int) -> tuple[np.generic, ...]:
    return np.int64(shape[0]), np.int64(shape[1]), np.uint64(seed), np.uint64(stream)
