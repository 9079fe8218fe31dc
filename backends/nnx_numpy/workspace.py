"""Scratch memory that is allocated once per thread, and loops over blocks that fit the cache."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from nnx.interface import aligned_empty

Numbers: TypeAlias = NDArray[Any]

BLOCK = 32768
"""Elements per block: several float32 arrays of this size share a 1 MiB second-level cache, and a ufunc spends
several times longer on a block than on being called. Blocks of 8192 took up to twice as long; those of 65536 and
131072 gained little, and in float64 they no longer fit."""


_VIEWS = 1024  # an array header takes about 100 bytes


class Workspace(threading.local):
    """Named buffers of the running thread, which grow to the largest size asked for and are then reused.

    What `take` returns holds garbage and stays valid until the same slot is taken again by the same thread;
    a kernel therefore gives each of its temporaries a slot of its own. No two threads share a buffer.
    """

    def __init__(self) -> None:
        self._buffers: dict[tuple[str, np.dtype[Any]], Numbers] = {}
        self._views: dict[tuple[str, tuple[int, ...], np.dtype[Any]], Numbers] = {}
        self._constants: dict[tuple[float, np.dtype[Any]], Numbers] = {}
        self._counting = np.arange(0, dtype=np.int64)

    def take(self, slot: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Numbers:
        """Return an uninitialised array of the given shape and dtype, C-contiguous."""
        view = self._views.get((slot, shape, dtype))
        return self._view(slot, shape, dtype) if view is None else view

    def _view(self, slot: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Numbers:
        """Make a view of the slot's buffer, which grows if need be, and remember it."""
        size = math.prod(shape)
        buffer = self._buffers.get((slot, dtype))
        if buffer is None or buffer.size < size:
            buffer = self._buffers[slot, dtype] = aligned_empty((max(size, BLOCK),), dtype.name)
            self._views.clear()  # some are of the buffer that was too small
        if len(self._views) >= _VIEWS:
            self._views.clear()
        view = self._views[slot, shape, dtype] = buffer[:size].reshape(shape)
        return view

    def like(self, slot: str, array: Numbers) -> Numbers:
        """Return an uninitialised array of the shape and dtype of another."""
        return self.take(slot, array.shape, array.dtype)

    def filled(self, value: float, size: int, dtype: np.dtype[Any]) -> Numbers:
        """Return a read-only vector whose elements all are `value`."""
        constant = self._constants.get((value, dtype))
        if constant is None or constant.size < size:
            constant = aligned_empty((max(size, BLOCK),), dtype.name)
            constant[...] = value
            constant.flags.writeable = False
            self._constants[value, dtype] = constant
        return constant[:size]

    def counting(self, size: int) -> NDArray[np.int64]:
        """Return the read-only vector 0, 1, ..., size - 1."""
        if self._counting.size < size:
            self._counting = np.arange(max(size, BLOCK), dtype=np.int64)
            self._counting.flags.writeable = False
        return self._counting[:size]


workspace = Workspace()
"""The workspace of whichever thread asks."""

quiet = np.errstate(all="ignore")
"""Decorates kernels: infinities and NaN are legal values, whatever the caller's `numpy.seterr` says."""


def by_blocks(kernel: Callable[..., None], arrays: tuple[Numbers, ...], *attributes: Any) -> None:
    """Flatten the arrays and call kernel(*blocks, *attributes) on one block of them after another."""
    flat = [array.reshape(-1) for array in arrays]
    size = flat[0].size
    if size <= BLOCK:
        kernel(*flat, *attributes)
        return
    for start in range(0, size, BLOCK):
        kernel(*[array[start : start + BLOCK] for array in flat], *attributes)


def row_blocks(rows: int, columns: int) -> Iterator[slice]:
    """Cut the rows of a matrix into slices of at most `BLOCK` elements, but at least one row."""
    height = max(1, BLOCK // max(1, columns))
    for start in range(0, rows, height):
        yield slice(start, min(start + height, rows))


def column_sums(matrix: Numbers, out: Numbers) -> None:
    """out = sum over rows, as products of blocks with ones: faster than `numpy.add.reduce`, most so if narrow.

    By blocks the sums are more accurate, and too short for BLAS to wait until its threads have woken up.
    """
    rows, columns = matrix.shape
    ones = workspace.filled(1.0, min(rows, BLOCK), matrix.dtype)
    if matrix.size <= BLOCK:
        np.dot(ones, matrix, out=out)  # (N,) @ (N, C) -> (C,)
        return
    partial = workspace.like("partial sum", out)
    out[...] = 0
    for part in row_blocks(rows, columns):
        np.dot(ones[: part.stop - part.start], matrix[part], out=partial)
        np.add(out, partial, out=out)


def row_sums(matrix: Numbers, out: Numbers) -> None:
    """out = sum over columns, as a product with ones."""
    np.dot(matrix, workspace.filled(1.0, matrix.shape[1], matrix.dtype), out=out)  # (N, C) @ (C,) -> (N,)
