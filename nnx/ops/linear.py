"""The affine map of the last axis."""

from __future__ import annotations

from nnx.errors import ShapeError
from nnx.interface import Array
from nnx.ops.core import OpsCore


class Linear(OpsCore):
    """Operations on matrices."""

    def linear(
        self, x: Array, w: Array, b: Array | None, activation: str = "identity", alpha: float = 0.0
    ) -> Array:
        """y = f(x @ w + b) over the last axis: (..., I) -> (..., O).

        Raises:
            ShapeError, DtypeError: x has other features, or another dtype, than w; b is not one number per output.
        """
        if x.shape[-1] != w.shape[0]:
            raise ShapeError(f"linear expects inputs of {w.shape[0]} features, got {tuple(x.shape)}.")
        self.like_weights("linear", w, inputs=x)
        self.fit("linear", (w.shape[1],), w, b=b)
        y = self.empty(*x.shape[:-1], w.shape[1])
        self.call(self.backend.linear, self.rows(x), w, b, self.rows(y), activation, alpha)
        return y

    def linear_backward(
        self,
        x: Array,
        y: Array,
        dy: Array,
        w: Array,
        dw: Array,
        db: Array | None,
        activation: str,
        alpha: float,
        wants_dx: bool,
    ) -> Array | None:
        """Write the gradients of `linear` into dw and db; return dx if it is wanted.

        Shapes: x and dx (..., I), y and dy (..., O) with the same axes before the last; dw as w (I, O), db (O,).

        Raises:
            ShapeError, DtypeError: an array has another shape than that, or another dtype than w.
        """
        (inputs, outputs), leading = w.shape, tuple(x.shape[:-1])
        self.fit("linear_backward", (*leading, inputs), w, x=x)
        self.fit("linear_backward", (*leading, outputs), w, y=y, dy=dy)
        self.fit("linear_backward", (inputs, outputs), w, dw=dw)
        self.fit("linear_backward", (outputs,), w, db=db)
        dz = None if activation == "identity" else self.like(self.rows(y))
        dx = self.like(x) if wants_dx else None
        flat_dx = None if dx is None else self.rows(dx)
        arrays = (self.rows(x), self.rows(y), self.rows(dy), w, dz, flat_dx, dw, db)
        self.call(self.backend.linear_backward, *arrays, activation, alpha)
        return dx
