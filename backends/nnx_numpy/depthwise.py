"""Convolution of every channel by itself: multiply and add, tap by tap, over whole rows of pixels."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from nnx.interface import Array, Window
from nnx_numpy.blocks import add_column_sums
from nnx_numpy.columns import Grid, as_matrix
from nnx_numpy.plan import Plan
from nnx_numpy.workspace import row_blocks


def depthwise(plan: Plan, x: Array, w: Array, y: Array, window: Window) -> None:
    """y = conv(x, w), without bias; some images at a time."""
    rows = _weight_rows(plan, w, y)
    for some in _images(y):
        out, images = y[some], _spread(plan, x[some], y.shape[3], window)
        term = plan.like("term", out)
        for index, (tap, pixels) in enumerate(_taps(window, y)):
            plan(np.multiply, images[:, *pixels], rows[tap], term if index else out)
            if index:
                plan(np.add, out, term, out)


def depthwise_backward(
    plan: Plan, x: Array, dz: Array, w: Array, dx: Array | None, dw: Array, window: Window
) -> None:
    """Gradients of `depthwise`; those of x are added up in padded images."""
    rows = _weight_rows(plan, w, dz)
    for some in _images(dz):
        part, images = dz[some], _spread(plan, x[some], dz.shape[3], window)
        term = plan.like("term", part)
        for (k, l), pixels in _taps(window, dz):  # noqa: E741 (as in the interface)
            plan(np.multiply, images[:, *pixels], part, term)
            add_column_sums(plan, as_matrix(term), dw[k, l, 0], some.start == 0)
        if dx is not None:
            plan.copy(0, images)
            for tap, pixels in _taps(window, dz):
                plan(np.multiply, part, rows[tap], term)
                plan(np.add, images[:, *pixels], term, images[:, *pixels])
            _collect(plan, images, dx[some], window)


def _images(y: Array) -> Iterator[slice]:
    return row_blocks(y.shape[0], y.shape[1] * y.shape[2] * y.shape[3])


def _taps(window: Window, y: Array) -> Iterator[tuple[tuple[int, int], tuple[slice, slice]]]:
    grid = Grid((0, 0), y.shape[1:3], window.stride, window.size, window.dilation)
    for k in range(window.size[0]):
        for l in range(window.size[1]):  # noqa: E741
            yield (k, l), grid.tap(k, l)


def _weight_rows(plan: Plan, w: Array, y: Array) -> Array:
    """Repeat the weights of a tap for every place of a row: NumPy then runs along the row without a stop."""
    rows = plan.take("weight rows", (*w.shape[:2], y.shape[2], y.shape[3]), y.dtype)
    plan.copy(w, rows)  # (K, L, 1, O) -> (K, L, Q, O)
    return rows


def _spread(plan: Plan, x: Array, outputs: int, window: Window) -> Array:
    """Return padded images in scratch, each channel repeated for the outputs that it has."""
    count, height, width, channels = x.shape
    (top, left), (tall, wide) = window.before, window.padded(height, width)
    images = plan.take("spread images", (count, tall, wide, outputs), x.dtype)
    inner = images[:, top : top + height, left : left + width]
    if (tall, wide) != (height, width):
        plan.copy(0, images)
    plan.copy(x[..., None], inner.reshape(*inner.shape[:3], channels, outputs // channels, copy=False))
    return images


def _collect(plan: Plan, images: Array, dx: Array, window: Window) -> None:
    """dx = the image without its padding, outputs of the same channel added up."""
    (top, left), (_, height, width, channels) = window.before, dx.shape
    inner = images[:, top : top + height, left : left + width]
    if inner.shape == dx.shape:
        plan.copy(inner, dx)
    else:
        shape = (*inner.shape[:3], channels, images.shape[3] // channels)
        plan(np.add.reduce, inner.reshape(shape, copy=False), 4, None, dx)
