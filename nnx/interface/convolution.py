"""Convolution of images."""

from __future__ import annotations

from nnx import reference
from nnx.interface.arrays import Array, Arrays
from nnx.interface.windows import Window


class Convolution(Arrays):
    """Kernels that slide weights over images.

    Letters: N images of H rows, W columns and C channels; windows of K x L taps, with P x Q places on an image
    (`window.places(H, W)`); O output channels, in G groups: output channel o sees the C / G input channels from
    (o // (O / G)) C / G on. Outside of the image, in the padding, x is 0; what its product with NaN or an infinity
    is stays open: 0, as if there were no padding, or NaN.
    """

    def conv2d(
        self,
        x: Array,
        w: Array,
        b: Array | None,
        y: Array,
        window: Window,
        groups: int,
        activation: str,
        alpha: float,
    ) -> None:
        """Convolve (without turning w over, as networks do) and activate.

            y[n, p, q, o] = f(b_o + sum_klc x[n, p', q', c'] w[k, l, c, o])

        p', q' is the pixel of the tap (k, l), see `Window`, and c' the channel c of the group of o.

        Shapes: x (N, H, W, C), w (K, L, C / G, O), b (O,) or None for no bias, y (N, P, Q, O).
        Attributes: groups, a divisor of C and O; activation and alpha as in `linear`.
        """
        reference.conv2d(self.xp, x, w, b, y, window, groups, activation, alpha)

    def conv2d_backward(
        self,
        x: Array,
        y: Array,
        dy: Array,
        w: Array,
        dz: Array | None,
        dx: Array | None,
        dw: Array,
        db: Array | None,
        window: Window,
        groups: int,
        activation: str,
        alpha: float,
    ) -> None:
        """Gradients of `conv2d`, where y = f(z).

            dz = dy * f'(z)
            dx[n, p', q', c'] = sum dz[n, p, q, o] w[k, l, c, o]    over the places, taps and channels that read it
            dw[k, l, c, o] = sum_npq dz[n, p, q, o] x[n, p', q', c']
            db_o = sum_npq dz[n, p, q, o]

        Shapes: x, dx (N, H, W, C), dx or None; y, dy, dz (N, P, Q, O), dz None exactly when activation is
        "identity", where it would equal dy; w, dw (K, L, C / G, O); db (O,) or None.
        """
        reference.conv2d_backward(self.xp, x, y, dy, w, dz, dx, dw, db, window, groups, activation, alpha)
