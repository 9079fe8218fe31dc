"""Convolution and pooling of images."""

from __future__ import annotations

from nnx.errors import ShapeError
from nnx.interface import Array, Window
from nnx.ops.core import OpsCore


class Convolution(OpsCore):
    """Operations that move windows over images (N, H, W, C)."""

    def conv2d(
        self,
        x: Array,
        w: Array,
        b: Array | None,
        window: Window,
        groups: int = 1,
        activation: str = "identity",
        alpha: float = 0.0,
    ) -> Array:
        """y = f(conv(x, w) + b): (N, H, W, C) -> (N, P, Q, O)."""
        if x.ndim != 4 or x.shape[3] != w.shape[2] * groups:
            raise ShapeError(
                f"conv2d expects images (N, H, W, {w.shape[2] * groups}) of channels last, got {tuple(x.shape)}."
            )
        y = self.empty(x.shape[0], *self._places("conv2d", x, window), w.shape[3])
        self.call(self.backend.conv2d, x, w, b, y, window, groups, activation, alpha)
        return y

    def conv2d_backward(
        self,
        x: Array,
        y: Array,
        dy: Array,
        w: Array,
        dw: Array,
        db: Array | None,
        window: Window,
        groups: int,
        activation: str,
        alpha: float,
        wants_dx: bool,
    ) -> Array | None:
        """Write the gradients of `conv2d` into dw and db; return dx if it is wanted."""
        self.same("conv2d_backward", y=y, dy=dy)
        dz = None if activation == "identity" else self.like(y)
        dx = self.like(x) if wants_dx else None
        attributes = window, groups, activation, alpha
        self.call(self.backend.conv2d_backward, x, y, dy, w, dz, dx, dw, db, *attributes)
        return dx

    def max_pool(self, x: Array, window: Window) -> tuple[Array, Array]:
        """Return the largest of every window, and the tap where it is: twice (N, P, Q, C)."""
        shape = (x.shape[0], *self._places("max_pool", x, window), x.shape[3])
        y, index = self.empty(*shape), self.empty(*shape, dtype="int32")
        self.call(self.backend.max_pool, x, y, index, window)
        return y, index

    def max_pool_backward(self, x: Array, index: Array, dy: Array, window: Window) -> Array:
        """Return the gradient of x."""
        self.same("max_pool_backward", index=index, dy=dy)
        dx = self.like(x)
        self.call(self.backend.max_pool_backward, index, dy, dx, window)
        return dx

    def average_pool(self, x: Array, window: Window) -> Array:
        """Return the mean of every window: (N, H, W, C) -> (N, P, Q, C)."""
        y = self.empty(x.shape[0], *self._places("average_pool", x, window), x.shape[3])
        self.call(self.backend.average_pool, x, y, window)
        return y

    def average_pool_backward(self, x: Array, dy: Array, window: Window) -> Array:
        """Return the gradient of x."""
        dx = self.like(x)
        self.call(self.backend.average_pool_backward, dy, dx, window)
        return dx

    def _places(self, operation: str, x: Array, window: Window) -> tuple[int, int]:
        if x.ndim != 4:
            raise ShapeError(f"{operation} expects images (N, H, W, C), got {tuple(x.shape)}.")
        places = window.places(*x.shape[1:3])
        if min(places) < 1:
            high, wide = window.padded(*x.shape[1:3])
            raise ShapeError(
                f"{operation} expects images of at least {window.reach}, got {high} x {wide} with padding."
            )
        return places
