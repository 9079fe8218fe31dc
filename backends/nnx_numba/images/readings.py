"""Where windows find what they weigh, as tables of offsets.

A convolution is a product: a row for every place, and along the depth the pixels' channels that its window lies on.
The element of a place at a depth is at `places[place] + offsets[depth]` of a padded image, whatever the strides and
dilations. So is the gradient of the images, read from the padded gradient of the places: all pixels that are as far
from a window's first tap, modulo the stride, are weighed by the same taps.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nnx.interface import Window
from nnx_numba.lines import REGISTER_BYTES

Offsets = NDArray[np.int64]
Pair = tuple[int, int]

BLOCK_BYTES = 1024
"""Bytes of a block of depth."""

_KNOWN = 64  # readings that are kept; of the images' places each takes 16 bytes


class Padding(NamedTuple):
    """Zeros around images of `extents`, rows and columns: `before`, and as many as make them `padded`."""

    extents: Pair
    before: Pair
    padded: Pair

    @property
    def none(self) -> bool:
        """Whether there are no zeros."""
        return self.padded == self.extents


class Reading(NamedTuple):
    """What a product reads, and where it writes; offsets are in elements of one image.

    Attributes:
        places: where the windows of an image begin, a row of the product each.
        spots: where the rows of the result are.
        pieces: (where it is, its length, its place in the block) of every run of at most a register.
        blocks: (first piece, piece to stop before, depth, depths before) of every block of depth.
        taps: those that the depth goes through, each with all of a group's channels; a tap is k L + l.
    """

    places: Offsets
    spots: Offsets
    pieces: Offsets
    blocks: Offsets
    taps: Offsets


def forward_padding(window: Window, extents: Pair) -> Padding:
    """Return the padding of the images."""
    return Padding(extents, window.before, window.padded(*extents))


@lru_cache(_KNOWN)
def forward(window: Window, extents: Pair, channels: int, groups: int, outputs: int, itemsize: int) -> Reading:
    """Read padded images, and write places."""
    wide = window.padded(*extents)[1]
    starts = [_grid(n, step) for n, step in zip(window.places(*extents), window.stride, strict=True)]
    gaps = [_grid(n, step) for n, step in zip(window.size, window.dilation, strict=True)]
    places = _flat(starts, wide) * channels
    taps = np.arange(window.size[0] * window.size[1])
    spots = np.arange(places.size) * outputs
    return _reading(places, spots, _flat(gaps, wide) * channels, taps, channels // groups, itemsize)


def backward_padding(window: Window, extents: Pair) -> Padding:
    """Return the padding of the places' gradient."""
    spans = [_reach(window, axis, extents[axis]) for axis in range(2)]
    places = window.places(*extents)
    before = max(-spans[0][0], 0), max(-spans[1][0], 0)
    high, wide = (
        first + max(count, last + 1) for first, count, (_, last) in zip(before, places, spans, strict=True)
    )
    return Padding(places, before, (high, wide))


@lru_cache(_KNOWN)
def backward(
    window: Window, extents: Pair, channels: int, groups: int, outputs: int, itemsize: int
) -> tuple[Reading, ...]:
    """Read the padded gradient of the places, and write pixels: those of each remainder in turn."""
    padding, (high, wide) = backward_padding(window, extents), window.stride
    readings = []
    for remainder in product(range(min(high, extents[0])), range(min(wide, extents[1]))):
        axes = [_remaining(window, axis, remainder[axis], extents[axis]) for axis in range(2)]
        (rows, down), (columns, along) = axes
        moved = [_shift(window, axis, remainder[axis], taps) for axis, taps in ((0, down), (1, along))]
        taps = (down[:, None] * window.size[1] + along[None, :]).ravel()
        gaps = [shift + before for shift, before in zip(moved, padding.before, strict=True)]
        places = _flat([np.arange(rows.size), np.arange(columns.size)], padding.padded[1]) * outputs
        spots = _flat([rows, columns], extents[1]) * channels
        offsets = _flat(gaps, padding.padded[1]) * outputs
        readings.append(_reading(places, spots, offsets, taps, outputs // groups, itemsize))
    return tuple(readings)


def _remaining(window: Window, axis: int, remainder: int, extent: int) -> tuple[Offsets, Offsets]:
    """Return the pixels of a remainder along an axis, and the taps that lie on them, those first in the places."""
    taps = np.arange(window.size[axis])[::-1]
    apart = remainder + window.before[axis] - taps * window.dilation[axis]
    return np.arange(remainder, extent, window.stride[axis]), taps[apart % window.stride[axis] == 0]


def _shift(window: Window, axis: int, remainder: int, taps: Offsets) -> Offsets:
    """Return which place has a tap on the first pixel of a remainder."""
    return (remainder + window.before[axis] - taps * window.dilation[axis]) // window.stride[axis]


def _reach(window: Window, axis: int, extent: int) -> Pair:
    """Return the first and the last place along an axis that any pixel asks for, there or not."""
    first, last = 0, 0
    for remainder in range(min(window.stride[axis], extent)):
        pixels, taps = _remaining(window, axis, remainder, extent)
        if taps.size:
            shifts = _shift(window, axis, remainder, taps)
            first, last = min(first, int(shifts.min())), max(last, int(shifts.max()) + pixels.size - 1)
    return first, last


def _grid(count: int, step: int) -> Offsets:
    return np.arange(count, dtype=np.int64) * step


def _flat(axes: list[Offsets], wide: int) -> Offsets:
    """Return row * wide + column for all rows and columns."""
    return (axes[0][:, None] * wide + axes[1][None, :]).ravel()


def _reading(places: Offsets, spots: Offsets, offsets: Offsets, taps: Offsets, run: int, itemsize: int) -> Reading:
    depth = (offsets[:, None] + np.arange(run)).ravel()
    pieces = np.array(list(_pieces(depth, itemsize)), np.int64).reshape(-1, 3)
    return Reading(places, spots, pieces, _blocks(pieces, depth.size, BLOCK_BYTES // itemsize), taps)


def _pieces(depth: Offsets, itemsize: int) -> Iterator[tuple[int, int, int]]:
    """Cut the depth where it does not go on in memory, at blocks' ends, and into registers."""
    lanes, deep = REGISTER_BYTES // itemsize, BLOCK_BYTES // itemsize
    breaks = np.flatnonzero(np.diff(depth) != 1) + 1
    ends = np.union1d(breaks, np.arange(deep, depth.size + deep, deep).clip(max=depth.size))
    begin = 0
    for end in ends[ends > 0]:
        for first in range(begin, int(end), lanes):
            yield int(depth[first]), min(lanes, int(end) - first), first % deep
        begin = int(end)


def _blocks(pieces: Offsets, depth: int, deep: int) -> Offsets:
    """Group the pieces into blocks; there is one at least, if of no depth."""
    starts = np.append(np.flatnonzero(pieces[:, 2] == 0), pieces.shape[0])
    rows = [
        (
            starts[n] if pieces.size else 0,
            starts[n + 1] if pieces.size else 0,
            min(deep, depth - n * deep),
            n * deep,
        )
        for n in range(max(-(-depth // deep), 1))
    ]
    return np.array(rows, np.int64).reshape(-1, 4)
