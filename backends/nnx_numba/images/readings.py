"""Where windows find what they weigh, as tables of offsets.

A convolution is a product: a row for every place, and along the depth the pixels' channels that its window lies on.
The element of a place at a depth is at `places[place] + offsets[depth]` of a padded image, whatever the strides and
dilations. So is the gradient of the images, read from the padded gradient of the places, for each of the window's
phases.
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
    places, (before, after) = window.places(*extents), window.outlying(*extents)
    high, wide = (sum(parts) for parts in zip(before, places, after, strict=True))
    return Padding(places, before, (high, wide))


@lru_cache(_KNOWN)
def backward(
    window: Window, extents: Pair, channels: int, groups: int, outputs: int, itemsize: int
) -> tuple[Reading, ...]:
    """Read the padded gradient of the places, and write pixels: those of each phase in turn."""
    padding, readings = backward_padding(window, extents), []
    for down, along in product(*(window.phases(axis, extents[axis]) for axis in range(2))):
        phases = list(zip((down, along), window.stride, padding.before, strict=True))
        taps = np.array([row * window.size[1] + tap for row in down.taps for tap in along.taps], np.int64)
        places = _flat([np.arange(phase.pixels) for phase, *_ in phases], padding.padded[1]) * outputs
        spots = _flat([phase.first + _grid(phase.pixels, step) for phase, step, _ in phases], extents[1]) * channels
        gaps = [np.array(phase.places, np.int64) + before for phase, _, before in phases]
        offsets = _flat(gaps, padding.padded[1]) * outputs
        readings.append(_reading(places, spots, offsets, taps, outputs // groups, itemsize))
    return tuple(readings)


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
