"""Windows over images as matrices: one row per place, one column per tap and channel."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from nnx_numpy.plan import Plan
from nnx_numpy.workspace import BLOCK, Numbers

Pair = tuple[int, int]

_COLUMNS = 2 * BLOCK
"""Elements of columns made at a time: in float32 a quarter of a 1 MiB second-level cache, beside the images that
they are read from and the product that is written. Twice and half as many took the same time, eight times as many
half as long again."""

_SHORT = 8
"""Elements next to each other below which columns are copied tap by tap: a run of elements costs about 4 ns, an
element of a strided copy 0.25 to 0.45 ns."""


class Grid(NamedTuple):
    """The pixels that windows lie on; every entry is (along the height, along the width).

    The tap (k, l) at the place (p, q) lies on the pixel start + (p, q) stride + (k, l) dilation.
    """

    start: Pair
    places: Pair
    stride: Pair
    size: Pair
    dilation: Pair

    def rows(self, part: slice) -> Grid:
        """Return the windows of some rows of places."""
        start = self.start[0] + part.start * self.stride[0], self.start[1]
        return self._replace(start=start, places=(part.stop - part.start, self.places[1]))

    def tap(self, k: int, l: int) -> tuple[slice, slice]:  # noqa: E741 (as in the interface)
        """Return the rows and columns of pixels that a tap lies on."""
        firsts = (begin + tap * gap for begin, tap, gap in zip(self.start, (k, l), self.dilation, strict=True))
        spans = zip(firsts, self.places, self.stride, strict=True)
        down, along = (slice(first, first + (count - 1) * step + 1, step) for first, count, step in spans)
        return down, along


def as_matrix(array: Numbers) -> Numbers:
    """View an array as rows along its last axis."""
    return array.reshape(math.prod(array.shape[:-1]), array.shape[-1], copy=False)


def padded(plan: Plan, x: Numbers, before: Pair, after: Pair, fill: float = 0.0) -> Numbers:
    """Return contiguous images with their padding: x itself where it is that already, else scratch."""
    if not any((*before, *after)) and x.flags.c_contiguous:
        return x
    (top, left), (bottom, right), (count, height, width, channels) = before, after, x.shape
    shape = (count, top + height + bottom, left + width + right, channels)
    images = plan.take("padded", shape, x.dtype)
    inner = images[:, top : top + height]
    edges = images[:, :top], images[:, top + height :], inner[:, :, :left], inner[:, :, left + width :]
    for edge in edges:
        if edge.size:
            plan.copy(fill, edge)
    plan.copy(x, inner[:, :, left : left + width])
    return images


def blocks(count: int, places: Pair, depth: int) -> Iterator[tuple[slice, slice]]:
    """Cut `count` images into blocks of whole images, or of rows of places of one: (images, rows of places).

    The columns of a block, of `depth` elements per place, stay in cache; no images give an empty block.
    """
    down, along = places
    rows = max(1, min(down, _COLUMNS // max(1, along * depth)))
    images = max(1, _COLUMNS // max(1, down * along * depth)) if rows == down else 1
    for image in range(0, max(1, count), images):
        for row in range(0, down, rows):
            yield slice(image, min(image + images, count)), slice(row, min(row + rows, down))


def columns(plan: Plan, images: Numbers, grid: Grid) -> Numbers:
    """Return the matrix (N P Q, K L C) of contiguous images: a view where they are one, else scratch.

    Short runs of pixels are copied tap by tap, and the result is then the transposed view of a contiguous matrix;
    long ones by whole runs, each as one element of the run's size.
    """
    count, _, _, channels = images.shape
    (down, along), (high, wide) = grid.places, grid.size
    rows, depth = count * down * along, high * wide * channels
    if _are_rows(images, grid):
        return images.reshape(rows, depth)
    if wide * channels < _SHORT:
        out = plan.take("columns", (high, wide, channels, count, down, along), images.dtype)
        plan.copy(_elements(images, grid), out)
        return out.reshape(depth, rows).T
    out = plan.take("columns", (rows, depth), images.dtype)
    plan.copy(*_runs(images, grid, out))
    return out


def _are_rows(images: Numbers, grid: Grid) -> bool:
    """Tell whether the windows are the pixels in order, or whole images."""
    if grid.start != (0, 0) or images.size == 0:
        return images.size == 0
    extent = images.shape[1:3]
    pixels = grid.size == (1, 1) and grid.stride == (1, 1) and grid.places == extent
    return pixels or (grid.places == (1, 1) and grid.size == extent)  # then its taps lie side by side


def _strides(images: Numbers, grid: Grid) -> tuple[int, tuple[int, int, int], Pair]:
    """Return in bytes: where the first window begins, and the ways to the next image, places and taps."""
    image, row, pixel, _ = images.strides
    (top, left), (down, along), (high, wide) = grid.start, grid.stride, grid.dilation
    return top * row + left * pixel, (image, down * row, along * pixel), (high * row, wide * pixel)


def _elements(images: Numbers, grid: Grid) -> Numbers:
    """View images as (K, L, C, N, P, Q)."""
    offset, places, taps = _strides(images, grid)
    shape = (*grid.size, images.shape[3], images.shape[0], *grid.places)
    return np.ndarray(shape, images.dtype, images, offset, (*taps, images.itemsize, *places))


def _runs(images: Numbers, grid: Grid, out: Numbers) -> tuple[Numbers, Numbers]:
    """View images and their columns as (N, P, Q, K) runs of pixels, or (N, P, Q, K, L) single pixels if dilated."""
    offset, places, taps = _strides(images, grid)
    pixel = images.shape[3] * images.itemsize
    joined = grid.dilation[1] == 1 or grid.size[1] == 1
    run = np.dtype((np.void, pixel * grid.size[1] if joined else pixel))
    axes = 1 if joined else 2
    shape = (images.shape[0], *grid.places, *grid.size[:axes])
    return np.ndarray(shape, run, images, offset, (*places, *taps[:axes])), out.reshape(-1).view(run).reshape(shape)


def copy_pixels(plan: Plan, source: Numbers, out: Numbers) -> None:
    """Take out = source, the last axis as one element of its size: a quarter of what short rows cost one by one."""
    if source.size == 0:
        return
    if source.strides[-1] == source.itemsize:
        pixel = np.dtype((np.void, source.shape[-1] * source.itemsize))
        source, out = source.view(pixel), out.view(pixel)
    plan.copy(source, out)
