"""Products of matrices, and the affine map that dense layers are made of."""

from __future__ import annotations

from nnx import reference
from nnx.interface.arrays import Array, Arrays

FUSED = ("identity", "relu", "leaky_relu", "elu", "sigmoid", "tanh", "softplus")
"""Activations that `linear` can apply itself: their derivative is a function of their output alone."""


class Linear(Arrays):
    """Kernels on matrices. Letters: N rows (examples), I inputs, O outputs."""

    def matmul(self, a: Array, b: Array, out: Array, transpose_a: bool, transpose_b: bool) -> None:
        """Multiply two matrices.

            out = op(a) @ op(b)    op transposes if asked to

        Shapes: op(a) (M, K), op(b) (K, N), out (M, N). K = 0 gives zeros.
        """
        reference.matmul(self.xp, a, b, out, transpose_a, transpose_b)

    def linear(self, x: Array, w: Array, b: Array | None, y: Array, activation: str, alpha: float) -> None:
        """Affine map with activation.

            y = f(x @ w + b)

        Shapes: x (N, I), w (I, O), b (O,) or None for no bias, y (N, O).
        Attributes: activation, one of `FUSED`; alpha as in `activate`.
        """
        reference.linear(self.xp, x, w, b, y, activation, alpha)

    def linear_backward(
        self,
        x: Array,
        y: Array,
        dy: Array,
        w: Array,
        dz: Array | None,
        dx: Array | None,
        dw: Array,
        db: Array | None,
        activation: str,
        alpha: float,
    ) -> None:
        """Gradients of `linear`.

            dz = dy * f'(z)    z = x @ w + b, so that y = f(z)
            dx = dz @ w.T
            dw = x.T @ dz
            db = sum_n dz_n    over the rows

        Shapes: x (N, I), y and dy (N, O), w (I, O); results dz (N, O), dx (N, I) or None, dw (I, O),
        db (O,) or None. dz is None exactly when activation is "identity", where it would equal dy.
        f' is computed from y alone.
        """
        reference.linear_backward(self.xp, x, y, dy, w, dz, dx, dw, db, activation, alpha)
