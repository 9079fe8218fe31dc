"""Scratch memory that is allocated once and reused, constants, and blocks that fit the cache."""

from __future__ import annotations

import math
from collections.abc import Iterator
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


class Workspace:
    """Named buffers that grow to the largest size asked for and are then reused; and constants.

    What `take` returns holds garbage and belongs to the caller until the same slot is taken again; a kernel
    therefore gives each of its temporaries a slot of its own. A workspace serves one thread at a time.

    Attributes:
        buffers: by slot and dtype.
    """

    def __init__(self) -> None:
        """Begin empty."""
        self.buffers: dict[tuple[str, np.dtype[Any]], Numbers] = {}
        self._views: dict[tuple[str, tuple[int, ...], np.dtype[Any]], Numbers] = {}
        self._vectors: dict[tuple[float, np.dtype[Any]], Numbers] = {}
        self._scalars: dict[tuple[str, np.dtype[Any]], Numbers] = {}
        self._counting: dict[int, NDArray[np.int64]] = {}

    def allocate(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Numbers:
        """Make an uninitialised array."""
        return aligned_empty(shape, dtype.name)

    def take(self, slot: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Numbers:
        """Return an uninitialised array of the given shape and dtype, C-contiguous."""
        view = self._views.get((slot, shape, dtype))
        return self._view(slot, shape, dtype) if view is None else view

    def _view(self, slot: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Numbers:
        """Make a view of the slot's buffer, which grows if need be, and remember it."""
        size = math.prod(shape)
        buffer = self.buffers.get((slot, dtype))
        if buffer is None or buffer.size < size:
            buffer = self.buffers[slot, dtype] = self.allocate((size,), dtype)
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
        vector = self._vectors.get((value, dtype))
        if vector is None or vector.size < size:
            _make_room(self._vectors)
            vector = self._vectors[value, dtype] = _constant(value, (size,), dtype)
        return vector[:size]

    def scalar(self, value: float, dtype: np.dtype[Any]) -> Numbers:
        """Return a read-only 0-d array."""
        key = repr(value), dtype  # as text, for 0.0 and -0.0 are equal
        scalar = self._scalars.get(key)
        if scalar is None:
            _make_room(self._scalars)
            scalar = self._scalars[key] = _constant(value, (), dtype)
        return scalar

    def counting(self, size: int, stride: int = 1) -> NDArray[np.int64]:
        """Return the read-only vector 0, stride, 2 stride, ... of `size` elements."""
        multiples = self._counting.get(stride)
        if multiples is None or multiples.size < size:
            _make_room(self._counting)
            multiples = self._counting[stride] = np.arange(size, dtype=np.int64) * stride
            multiples.flags.writeable = False
        return multiples[:size]


def _make_room(constants: dict[Any, Any]) -> None:
    if len(constants) >= _VIEWS:
        constants.clear()


def _constant(value: float, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Numbers:
    constant = aligned_empty(shape, dtype.name)
    with np.errstate(all="ignore"):  # a number beyond float32's range is infinite there
        constant[...] = value
    constant.flags.writeable = False
    return constant


def row_blocks(rows: int, columns: int) -> Iterator[slice]:
    """Cut the rows of a matrix into slices of at most `BLOCK` elements or one row; no rows give an empty slice."""
    height = max(1, BLOCK // max(1, columns))
    for start in range(0, max(1, rows), height):
        yield slice(start, min(start + height, rows))
