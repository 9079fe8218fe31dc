"""Pooling of images."""

from __future__ import annotations

from nnx.errors import OptionError, ShapeError
from nnx.interface import Array, Window
from nnx.interface.windows import Pair
from nnx.ops.windows import Windows


class Pooling(Windows):
    """Operations that make one number of every window: (N, H, W, C) -> (N, P, Q, C)."""

    def max_pool(self, x: Array, window: Window) -> tuple[Array, Array]:
        """Return the largest of every window, and the tap where it is, int32: twice (N, P, Q, C).

        Raises:
            ShapeError: x is no images, or smaller than the window.
            OptionError: a window could lie in the padding alone, or is dilated.
        """
        shape = (x.shape[0], *self._filled_places("max_pool", x, window), x.shape[3])
        y, index = self.empty(*shape), self.empty(*shape, dtype="int32")
        self.call(self.backend.max_pool, x, y, index, window)
        return y, index

    def max_pool_backward(self, x: Array, index: Array, dy: Array, window: Window) -> Array:
        """Return the gradient of x, (N, H, W, C), given that of y.

        Raises:
            ShapeError: index or dy has another shape than y.
            DtypeError: dy has another dtype than x, or index than int32.
        """
        shape = (x.shape[0], *self._filled_places("max_pool_backward", x, window), x.shape[3])
        self.fit("max_pool_backward", shape, x, dy=dy)
        self.fit("max_pool_backward", shape, index, index=index)
        self.whole_numbers("max_pool_backward", "int32", index=index)
        dx = self.like(x)
        self.call(self.backend.max_pool_backward, index, dy, dx, window)
        return dx

    def average_pool(self, x: Array, window: Window) -> Array:
        """Return the mean of every window.

        Raises:
            ShapeError, OptionError: as `max_pool`.
        """
        y = self.empty(x.shape[0], *self._filled_places("average_pool", x, window), x.shape[3])
        self.call(self.backend.average_pool, x, y, window)
        return y

    def average_pool_backward(self, x: Array, dy: Array, window: Window) -> Array:
        """Return the gradient of x, (N, H, W, C), given that of y.

        Raises:
            ShapeError, DtypeError: dy has another shape than y, or another dtype than x.
        """
        shape = (x.shape[0], *self._filled_places("average_pool_backward", x, window), x.shape[3])
        self.fit("average_pool_backward", shape, x, dy=dy)
        dx = self.like(x)
        self.call(self.backend.average_pool_backward, dy, dx, window)
        return dx

    def _filled_places(self, operation: str, x: Array, window: Window) -> Pair:
        """Return how many places there are, if every one of them holds a pixel."""
        if window.dilation != (1, 1):
            raise OptionError(f"{operation} expects windows without dilation, got {window.dilation}.")
        sides = zip(window.before, window.after, window.reach, strict=True)
        if any(max(before, after) >= reach for before, after, reach in sides):
            raise OptionError(
                f"{operation} expects padding smaller than the window {window.size}, or a window could hold "
                f"nothing else; got {window.before} before and {window.after} after."
            )
        places = self.places(operation, x, window)
        if 0 in x.shape[1:3]:
            raise ShapeError(f"{operation} expects images of at least one pixel, got {tuple(x.shape)}.")
        return places
