"""Images with their padding, and the pixels under every tap of a window."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Array = Any
Window = Any


def pad(xp: Any, x: Array, window: Window, fill: float = 0.0) -> Array:
    """Return images (N, H, W, C) with their padding around them."""
    count, height, width, channels = x.shape
    (top, left), (tall, wide) = window.before, window.padded(height, width)
    padded = xp.full((count, tall, wide, channels), fill, dtype=x.dtype)
    padded[:, top : top + height, left : left + width, :] = x
    return padded


def unpad(padded: Array, x: Array, window: Window) -> Array:
    """Return the part of a padded array that is the image itself."""
    top, left = window.before
    return padded[:, top : top + x.shape[1], left : left + x.shape[2], :]


def taps(window: Window, places: tuple[int, int]) -> Iterator[tuple[int, int, tuple[slice, ...]]]:
    """Yield k, l and, for every tap, the pixels of padded images that it lies on at all places."""
    for k in range(window.size[0]):
        for l in range(window.size[1]):  # noqa: E741 (as in the interface)
            first = k * window.dilation[0], l * window.dilation[1]
            spans = zip(first, places, window.stride, strict=True)
            down, along = (slice(start, start + (n - 1) * step + 1, step) for start, n, step in spans)
            yield k, l, (slice(None), down, along)
