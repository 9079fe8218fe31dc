"""Reference for `nnx.interface.linear`."""

from __future__ import annotations

from typing import Any

from nnx.reference.activations import derivative_from_output, function

Array = Any


def matmul(xp: Any, a: Array, b: Array, out: Array, transpose_a: bool, transpose_b: bool) -> None:
    """out = op(a) @ op(b)."""
    out[...] = (a.T if transpose_a else a) @ (b.T if transpose_b else b)


def linear(xp: Any, x: Array, w: Array, b: Array | None, y: Array, activation: str, alpha: float) -> None:
    """y = f(x @ w + b)."""
    z = x @ w if b is None else x @ w + b  # (N, I) @ (I, O) -> (N, O)
    y[...] = function(xp, z, activation, alpha)


def linear_backward(
    xp: Any,
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
    """dz = dy f'(z), dx = dz @ w.T, dw = x.T @ dz, db = sum of dz."""
    gradient = dy * derivative_from_output(xp, y, activation, alpha)
    if dz is not None:
        dz[...] = gradient
    if dx is not None:
        dx[...] = gradient @ w.T  # (N, O) @ (O, I) -> (N, I)
    dw[...] = x.T @ gradient  # (I, N) @ (N, O) -> (I, O)
    if db is not None:
        db[...] = xp.sum(gradient, axis=0)  # (N, O) -> (O,)
