"""Convolution of images."""

from __future__ import annotations

from nnx.errors import ShapeError
from nnx.interface import Array, Window
from nnx.ops.windows import Windows


class Convolution(Windows):
    """Operations that slide weights over images. Letters as in `nnx.interface.convolution`."""

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
        """y = f(conv(x, w) + b).

        Shapes: x (N, H, W, C), w (K, L, C / G, O), b (O,) or None for no bias -> y (N, P, Q, O).

        Raises:
            ShapeError: x is no images of C channels, or smaller than the window; the window has not K x L taps; b
                is not (O,).
            DtypeError: x or b has another dtype than w.
        """
        shape = self._convolved("conv2d", x, w, window, groups)
        self.fit("conv2d", (w.shape[3],), w, b=b)
        y = self.empty(*shape)
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
        """Write the gradients of `conv2d` into dw and db; return dx if it is wanted.

        Shapes: as in `conv2d`; dy as y, dw as w, db as b, dx as x.

        Raises:
            ShapeError, DtypeError: an array has another shape than that, or another dtype than w.
        """
        shape = self._convolved("conv2d_backward", x, w, window, groups)
        self.fit("conv2d_backward", shape, w, y=y, dy=dy)
        self.fit("conv2d_backward", tuple(w.shape), w, dw=dw)
        self.fit("conv2d_backward", (w.shape[3],), w, db=db)
        dz = None if activation == "identity" else self.like(y)
        dx = self.like(x) if wants_dx else None
        attributes = window, groups, activation, alpha
        self.call(self.backend.conv2d_backward, x, y, dy, w, dz, dx, dw, db, *attributes)
        return dx

    def _convolved(self, operation: str, x: Array, w: Array, window: Window, groups: int) -> tuple[int, ...]:
        """Check images, weights and window, and return the shape of y."""
        channels = w.shape[2] * groups
        if x.ndim != 4 or x.shape[3] != channels:
            shape = tuple(x.shape)
            raise ShapeError(f"{operation} expects images (N, H, W, {channels}) of channels last, got {shape}.")
        if tuple(w.shape[:2]) != window.size:
            raise ShapeError(f"{operation} expects a window of {tuple(w.shape[:2])} taps, got {window.size}.")
        self.like_weights(operation, w, x=x)
        return (x.shape[0], *self.places(operation, x, window), w.shape[3])
