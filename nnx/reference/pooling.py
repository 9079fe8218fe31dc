"""Reference for `nnx.interface.pooling`."""

from __future__ import annotations

from typing import Any

from nnx.reference.windows import Window, pad, taps, unpad

Array = Any


def _inside(xp: Any, x: Array, window: Window) -> Array:
    """Return 1 for every pixel of padded images, 0 for the padding: (1, H', W', 1)."""
    _, height, width, _ = x.shape
    return pad(xp, xp.ones((1, height, width, 1), dtype=x.dtype), window)


def max_pool(xp: Any, x: Array, y: Array, index: Array, window: Window) -> None:
    """Go through the taps in order, and take each that is larger than all before."""
    padded, inside = pad(xp, x, window), _inside(xp, x, window) > 0
    best, place = xp.zeros_like(y), xp.full_like(index, -1)
    for k, l, pixels in taps(window, y.shape[1:3]):  # noqa: E741
        value = padded[*pixels, :]
        better = (place < 0) | (value > best) | (xp.isnan(value) & ~xp.isnan(best))
        taken = better & inside[*pixels, :]
        best = xp.where(taken, value, best)
        place = xp.where(taken, xp.full_like(place, k * window.size[1] + l), place)
    y[...], index[...] = best, place


def max_pool_backward(xp: Any, index: Array, dy: Array, dx: Array, window: Window) -> None:
    """Every tap's share goes back to the pixels that it lies on."""
    padded = pad(xp, xp.zeros_like(dx), window)
    for k, l, pixels in taps(window, dy.shape[1:3]):  # noqa: E741
        share = xp.where(index == k * window.size[1] + l, dy, xp.zeros_like(dy))
        padded[*pixels, :] = padded[*pixels, :] + share
    dx[...] = unpad(padded, dx, window)


def _counts(xp: Any, x: Array, places: tuple[int, int], window: Window) -> Array:
    """Return how many pixels of the image each window holds: (1, P, Q, 1)."""
    inside = _inside(xp, x, window)
    return sum(inside[*pixels, :] for _k, _l, pixels in taps(window, places))


def average_pool(xp: Any, x: Array, y: Array, window: Window) -> None:
    """Sum over the taps, divided by the number of pixels."""
    padded = pad(xp, x, window)
    total = sum(padded[*pixels, :] for _k, _l, pixels in taps(window, y.shape[1:3]))
    y[...] = total / _counts(xp, x, y.shape[1:3], window)


def average_pool_backward(xp: Any, dy: Array, dx: Array, window: Window) -> None:
    """An equal share to every pixel of the window."""
    padded = pad(xp, xp.zeros_like(dx), window)
    share = dy / _counts(xp, dx, dy.shape[1:3], window)
    for _k, _l, pixels in taps(window, dy.shape[1:3]):
        padded[*pixels, :] = padded[*pixels, :] + share
    dx[...] = unpad(padded, dx, window)
