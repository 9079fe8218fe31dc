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
            ShapeError: x is no images of C channels, or smaller than the window; the window has not K x L taps.
            DtypeError: x has another dtype than w.
        """
        if x.ndim != 4 or x.shape[3] != w.shape[2] * groups:
            raise ShapeError(
                f"conv2d expects images (N, H, W, {w.shape[2] * groups}) of channels last, got {tuple(x.shape)}."
            )
        if tuple(w.shape[:2]) != window.size:
            raise ShapeError(f"conv2d expects a window of {tuple(w.shape[:2])} taps, got {window.size}.")
        self.like_weights("conv2d", w, x=x)
        y = self.empty(x.shape[0], *self.places("conv2d", x, window), w.shape[3])
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
            ShapeError, DtypeError: dy is not like y.
        """
        self.same("conv2d_backward", y=y, dy=dy)
        self.like_weights("conv2d_backward", w, dy=dy)
        dz = None if activation == "identity" else self.like(y)
        dx = self.like(x) if wants_dx else None
        attributes = window, groups, activation, alpha
        self.call(self.backend.conv2d_backward, x, y, dy, w, dz, dx, dw, db, *attributes)
        return dx
