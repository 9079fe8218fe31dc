"""Pooling: rows of places, with channels in vectors."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from nnx.interface import Array, Backend, Window
from nnx_numba.hostarrays import GRAIN, plain
from nnx_numba.images import reductions
from nnx_numba.images.chunks import address_of
from nnx_numba.images.reductions import Pool, Taps
from nnx_numba.internals import types
from nnx_numba.jit import device, intrinsic
from nnx_numba.kernel import kernel
from nnx_numba.lanes import WORD
from nnx_numba.lines import Lines, moved, words
from nnx_numba.vectors import loop


def _row_of_places(emit: Any) -> Any:
    """Make a function of an array of the elements' type, a row's `Taps`, and what `emit` takes besides."""

    @intrinsic
    def run(_context: Any, like: Any, taps: Any, given: Any) -> Any:
        def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            lines = Lines(builder, context.get_data_type(like.dtype))
            pool = Pool(lines, Taps(*words(builder, arguments[1], 8)))
            emit(pool, *words(builder, arguments[2], len(given)))
            return context.get_dummy_value()

        return types.none(like, taps, given), generate

    return run


_largest, _average = _row_of_places(reductions.largest), _row_of_places(reductions.average)
_largest_back, _average_back = _row_of_places(reductions.largest_back), _row_of_places(reductions.average_back)


@intrinsic
def _clear(_context: Any, out: Any, first: Any, count: Any) -> Any:
    """Write zeros to `count` elements."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        lines = Lines(builder, context.get_data_type(out.dtype))
        begin = moved(
            builder, address_of(context, builder, signature.args[0], arguments[0]), (arguments[1], WORD(lines.size))
        )
        with loop(builder, WORD(0), arguments[2], lines.lanes) as n:
            place = moved(builder, begin, (n, WORD(lines.size)))
            lines.store(lines.zeros, place, lines.mask(builder.sub(arguments[2], n)))
        return context.get_dummy_value()

    return types.none(out, first, count), generate


@device
def _taps(x: Array, image: int, row: int, window: Array) -> tuple[int, ...]:
    """Return what `Taps` takes, for a row of places of an image; window: (size, stride, before)."""
    begin = row * window[1, 0] - window[2, 0]
    top = x.ctypes.data + image * x.strides[0] + begin * x.strides[1]
    rows = max(0, -begin), min(window[0, 0], x.shape[1] - begin)
    return top, rows[0], rows[1], window[0, 1], -window[2, 1], window[1, 1], x.shape[2], x.shape[3]


@kernel
def max_pool(first: int, last: int, x: Array, y: Array, index: Array, window: Array) -> None:
    """Units are rows of places; window: (size, stride, before)."""
    for unit in range(first, last):
        taps = _taps(x, unit // y.shape[1], unit % y.shape[1], window)
        out, where = y.ctypes.data + unit * y.strides[1], index.ctypes.data + unit * index.strides[1]
        _largest(x, taps, (y.shape[2], out, where))


@kernel
def average_pool(first: int, last: int, x: Array, y: Array, window: Array) -> None:
    """Units are rows of places; window: (size, stride, before)."""
    for unit in range(first, last):
        taps = _taps(x, unit // y.shape[1], unit % y.shape[1], window)
        _average(x, taps, (y.shape[2], y.ctypes.data + unit * y.strides[1]))


@kernel
def max_pool_backward(
    first: int, last: int, index: Array, dy: Array, dx: Array, window: Array, adds: bool, clears: bool
) -> None:
    """Units are images; adds: whether windows overlap; clears: whether pixels must be 0 before."""
    size = dx.strides[0] // dx.itemsize
    for image in range(first, last):
        if clears:
            _clear(dx, image * size, size)
        for p in range(dy.shape[1]):
            taps = _taps(dx, image, p, window)
            share = dy.ctypes.data + image * dy.strides[0] + p * dy.strides[1]
            where = index.ctypes.data + image * index.strides[0] + p * index.strides[1]
            _largest_back(dx, taps, (dy.shape[2], share, where, adds))


@kernel
def average_pool_backward(
    first: int, last: int, dy: Array, dx: Array, window: Array, adds: bool, clears: bool
) -> None:
    """Units are images; adds: whether windows overlap; clears: whether pixels must be 0 before."""
    size = dx.strides[0] // dx.itemsize
    for image in range(first, last):
        if clears:
            _clear(dx, image * size, size)
        for p in range(dy.shape[1]):
            taps = _taps(dx, image, p, window)
            share = dy.ctypes.data + image * dy.strides[0] + p * dy.strides[1]
            _average_back(dx, taps, (dy.shape[2], share, adds))


@lru_cache(256)
def _moves(window: Window) -> Array:
    return np.array([window.size, window.stride, window.before], np.int64)


def _units(x: Array, count: int) -> tuple[int, int]:
    """Number of units of equal shares of x, and units to a grain."""
    return count, max(1, GRAIN * count // max(4 * x.size, 1))


def _overlap(window: Window, dx: Array, dy: Array) -> tuple[bool, bool]:
    """Return whether windows overlap, and whether some pixel must be 0 before they are gone through."""
    axes = list(zip(window.size, window.stride, window.before, dx.shape[1:3], dy.shape[1:3], strict=True))
    adds = any(size > step for size, step, *_ in axes)
    covers = all(size == step and count * step - before >= extent for size, step, before, extent, count in axes)
    return adds, adds or not covers


class Pooling(Backend):
    """Kernels that make one number of every window."""

    def max_pool(self, x: Array, y: Array, index: Array, window: Window) -> None:
        """A row of places at a time."""
        max_pool(*_units(x, y.shape[0] * y.shape[1]), plain(x), y, index, _moves(window))

    def max_pool_backward(self, index: Array, dy: Array, dx: Array, window: Window) -> None:
        """An image at a time, whose pixels are written once where windows do not overlap."""
        flags = _overlap(window, dx, dy)
        max_pool_backward(*_units(dx, dx.shape[0]), plain(index), plain(dy), dx, _moves(window), *flags)

    def average_pool(self, x: Array, y: Array, window: Window) -> None:
        """A row of places at a time."""
        average_pool(*_units(x, y.shape[0] * y.shape[1]), plain(x), y, _moves(window))

    def average_pool_backward(self, dy: Array, dx: Array, window: Window) -> None:
        """An image at a time, whose pixels are written once where windows do not overlap."""
        flags = _overlap(window, dx, dy)
        average_pool_backward(*_units(dx, dx.shape[0]), plain(dy), dx, _moves(window), *flags)
