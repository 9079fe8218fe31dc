"""Pooling: along the rows of pixels first, then along the columns, some images at a time.

The first of equals in the order of the taps is the first within its row of taps, of the first such row; so a
maximum, too, can be taken along one axis after the other.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator

import numpy as np

from nnx import interface
from nnx.interface import Array, Window
from nnx_numpy.columns import Grid, copy_pixels, padded
from nnx_numpy.plan import Plan, kernel
from nnx_numpy.workspace import row_blocks

_BOOL = np.dtype(np.bool_)
_INT8 = np.dtype(np.int8)
_INT32 = np.dtype(np.int32)
_ALL = slice(None)

Step = Callable[[Plan, int, Array, Array], None]
"""Takes the tap number `tap` in: (plan, tap, values of the tap, result so far)."""


class Pooling(interface.pooling.Pooling):
    """Kernels that make one number of every window."""

    @kernel
    def max_pool(self, plan: Plan, x: Array, y: Array, index: Array, window: Window) -> None:
        """Two passes of comparisons, each tap against the largest so far; indices in bytes where they fit."""
        for some in _images(x):
            images = padded(plan, x[some], window.before, window.after, -math.inf)
            shape = (*images.shape[:2], y.shape[2], y.shape[3])
            kind = _INT8 if math.prod(window.size) <= np.iinfo(_INT8).max else _INT32
            along, within = plan.take("along", shape, x.dtype), plan.take("within", shape, kind)
            best, place = y[some], plan.take("place", y[some].shape, kind)
            plan.copy(0, within)
            _along(plan, images, along, window, functools.partial(_larger_along, within=within, window=window))
            plan.copy(within[:, *_rows(y, window, 0)], place)
            rows = functools.partial(_larger_down, within=within, place=place, window=window)
            _down(plan, along, best, window, rows)
            plan.copy(place, index[some])

    @kernel
    def max_pool_backward(self, plan: Plan, index: Array, dy: Array, dx: Array, window: Window) -> None:
        """Indices become positions of pixels, to which `numpy.add.at` adds one after the other."""
        some = next(_images(dx))
        base = _positions(plan, dy[some].shape, dx.shape, window)
        for some in _images(dx):
            part, out = plan.flat("part", dy[some]), dx[some].reshape(-1)
            tap = plan.flat("tap", index[some])
            position = plan.take("position", part.shape, base.dtype)
            plan.copy(tap, position)
            plan(np.multiply, position, dx.shape[3], position)
            plan(np.add, position, base[: part.size], position)
            _add_rows(plan, tap, position, dx, window)
            plan.copy(0, out)
            plan(np.add.at, out, position, part)

    @kernel
    def average_pool(self, plan: Plan, x: Array, y: Array, window: Window) -> None:
        """Two passes of sums."""
        counts = _counts(x.shape, y.shape, y.dtype, window)
        for some in _images(x):
            images = padded(plan, x[some], window.before, window.after)
            along = plan.take("along", (*images.shape[:2], y.shape[2], y.shape[3]), x.dtype)
            _along(plan, images, along, window, _sum)
            _down(plan, along, y[some], window, _sum)
            plan(np.divide, y[some], counts, y[some])

    @kernel
    def average_pool_backward(self, plan: Plan, dy: Array, dx: Array, window: Window) -> None:
        """Two passes that spread an equal share, adding only where windows overlap."""
        counts = _counts(dx.shape, dy.shape, dy.dtype, window)
        (top, left), (tall, wide) = window.before, window.padded(*dx.shape[1:3])
        for some in _images(dx):
            share = plan.like("share", dy[some])
            plan(np.divide, dy[some], counts, share)
            rows = plan.take("share rows", (share.shape[0], tall, *share.shape[2:]), dy.dtype)
            _spread(plan, share, rows, 0, window)
            exact = (tall, wide) == dx.shape[1:3]
            out = dx[some] if exact else plan.take("share images", (*rows.shape[:2], wide, dx.shape[3]), dy.dtype)
            _spread(plan, rows, out, 1, window)
            if not exact:
                plan.copy(out[:, top : top + dx.shape[1], left : left + dx.shape[2]], dx[some])


def _images(x: Array) -> Iterator[slice]:
    return row_blocks(x.shape[0], math.prod(x.shape[1:]))


def _rows(y: Array, window: Window, tap: int) -> tuple[slice, ...]:
    """The rows that row `tap` of every window lies on."""
    return Grid((0, 0), (y.shape[1], 1), window.stride, window.size, (1, 1)).tap(tap, 0)[:1]


def _along(plan: Plan, images: Array, out: Array, window: Window, step: Step) -> None:
    """Reduce over the taps of a row: (n, H, W, C) -> (n, H, Q, C). Pixels are first laid side by side."""
    grid = Grid((0, 0), (1, out.shape[2]), window.stride, window.size, (1, 1))
    for tap in range(window.size[1]):
        value = plan.like("value", out) if tap else out
        copy_pixels(plan, images[:, :, grid.tap(0, tap)[1]], value)
        if tap:
            step(plan, tap, value, out)


def _down(plan: Plan, along: Array, out: Array, window: Window, step: Step) -> None:
    """Reduce over the rows of taps: (n, H, Q, C) -> (n, P, Q, C)."""
    for tap in range(window.size[0]):
        value = along[:, *_rows(out, window, tap)]
        if tap:
            step(plan, tap, value, out)
        else:
            plan.copy(value, out)


def _sum(plan: Plan, _tap: int, value: Array, total: Array) -> None:
    plan(np.add, total, value, total)


def _larger(plan: Plan, value: Array, best: Array, first: tuple[slice | int, ...] | None) -> Array:
    """best = max(best, value); return where it is the value, in scratch.

    There value <= best is false and best no NaN. At the places `first`, where no pixel came before, it is so in
    any case: all before was padding.
    """
    least, known = plan.take("least", best.shape, _BOOL), plan.take("known", best.shape, _BOOL)
    plan(np.less_equal, value, best, least)
    plan(np.equal, best, best, known)
    plan(np.greater, known, least, known)
    if first is not None:
        plan.copy(True, known[first])
    plan(functools.partial(np.maximum, out=best), best, value)
    return known.view(_INT8)


def _first(tap: int, axis: int, best: Array, window: Window) -> tuple[slice | int, ...] | None:
    """The places of an axis whose first pixel is that of the tap, all before being padding."""
    place, rest = divmod(window.before[axis] - tap, window.stride[axis])
    if rest or not 0 <= place < best.shape[1 + axis]:
        return None
    return (_ALL, place) if axis == 0 else (_ALL, _ALL, place)


def _larger_along(plan: Plan, tap: int, value: Array, best: Array, within: Array, window: Window) -> None:
    """Note the tap where its value is larger; as the taps come in order, it is larger than those noted before."""
    taken = _larger(plan, value, best, _first(tap, 1, best, window))
    noted = plan.like("noted", within)
    plan(np.multiply, taken, plan.scalar(tap, within.dtype), noted)
    plan(functools.partial(np.maximum, out=within), within, noted)


def _larger_down(
    plan: Plan, tap: int, value: Array, best: Array, within: Array, place: Array, window: Window
) -> None:
    """The same for rows of taps, each of which has its first largest tap in `within`."""
    taken = _larger(plan, value, best, _first(tap, 0, best, window))
    noted = plan.like("noted", place)
    before = plan.scalar(tap * window.size[1], place.dtype)
    plan(np.add, within[:, *_rows(best, window, tap)], before, noted)
    plan(np.multiply, noted, taken, noted)
    plan(functools.partial(np.maximum, out=place), place, noted)


def _positions(plan: Plan, places: tuple[int, ...], images: tuple[int, ...], window: Window) -> Array:
    """Where the first tap of every window lies in flat images, padding counted as negative."""
    strides = math.prod(images[1:]), images[2] * images[3], images[3], 1
    steps = 1, window.stride[0], window.stride[1], 1
    first = 0, -window.before[0], -window.before[1], 0
    total = plan.allocate(places, np.dtype(np.int64))
    total[...] = 0
    for axis, count in enumerate(places):
        line = (np.arange(count, dtype=np.int64) * steps[axis] + first[axis]) * strides[axis]
        total += line.reshape([-1 if axis == other else 1 for other in range(4)])
    return total.reshape(-1)


def _add_rows(plan: Plan, tap: Array, position: Array, dx: Array, window: Window) -> None:
    """Go from tap to tap along a row of pixels, but to the next row of pixels with the next row of taps."""
    (high, wide), (_, _, width, channels) = window.size, dx.shape
    below, jump = plan.take("below", tap.shape, _BOOL), plan.like("jump", position)
    for row in range(1, high):
        plan(np.greater_equal, tap, row * wide, below)
        plan(np.multiply, below.view(_INT8), plan.scalar((width - wide) * channels, position.dtype), jump)
        plan(np.add, position, jump, position)


def _counts(x: tuple[int, ...], y: tuple[int, ...], dtype: np.dtype[np.generic], window: Window) -> Array:
    """How many pixels of the image every window holds: (P, Q, C), or one number if it is the same for all."""
    if window.before == window.after == (0, 0):
        return np.full((), math.prod(window.size), dtype)
    lines = []
    for axis, (extent, count) in enumerate(zip(x[1:3], y[1:3], strict=True)):
        first = np.arange(count) * window.stride[axis] - window.before[axis]
        lines.append(np.minimum(first + window.size[axis], extent) - np.maximum(first, 0))
    counts = np.empty(y[1:], dtype)
    counts[...] = (lines[0][:, None] * lines[1])[..., None]  # (P, 1) * (Q,) -> (P, Q, 1) -> (P, Q, C)
    return counts


def _spread(plan: Plan, share: Array, out: Array, axis: int, window: Window) -> None:
    """Every tap of an axis gets the share of its window."""
    size, stride, places = window.size[axis], window.stride[axis], share.shape[1 + axis]
    plan.copy(0, out)
    for tap in range(size):
        span = slice(tap, tap + (places - 1) * stride + 1, stride)
        pixels = out[:, span] if axis == 0 else out[:, :, span]
        if stride < size:
            plan(np.add, pixels, share, pixels)
        else:
            copy_pixels(plan, share, pixels)
