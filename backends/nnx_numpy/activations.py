"""Activation functions and their gradients, as few vectorised passes over blocks that stay in cache.

The formulas avoid masks: `where=` and `copyto` cost ten times an arithmetic pass, as does a maximum with a
scalar in place of an array.
"""

from __future__ import annotations

import math

import numpy as np

from nnx import interface
from nnx.interface import Array
from nnx_numpy.normal import normal
from nnx_numpy.workspace import by_blocks, quiet, row_blocks, row_sums, workspace

_INDEX = np.dtype(np.int64)
_CERTAIN = 80.0  # sigmoid(x) is 1 to the last bit of float64 from 37 on; e^80 is finite also in float32
_LOST = -1000.0  # e^x is 0 from here down, but x times 0 is not NaN


class Activations(interface.activations.Activations):
    """Kernels on elements and rows."""

    @quiet
    def activate(self, x: Array, y: Array, activation: str, alpha: float) -> None:
        """A few passes per block."""
        by_blocks(FORWARD[activation], (x, y), alpha)

    @quiet
    def activate_backward(self, x: Array, y: Array, dy: Array, dx: Array, activation: str, alpha: float) -> None:
        """A few passes per block; from y alone where that suffices."""
        if activation in FROM_INPUT:
            by_blocks(FROM_INPUT[activation], (x, dy, dx))
        else:
            by_blocks(FROM_OUTPUT[activation], (y, dy, dx), alpha)

    @quiet
    def softmax(self, x: Array, y: Array) -> None:
        """In the destination, a block of rows at a time."""
        for rows in row_blocks(*x.shape):
            part = y[rows]
            shift(x[rows], part)
            total = exponentials(part, part)
            np.divide(part, total[:, None], out=part)

    @quiet
    def softmax_backward(self, y: Array, dy: Array, dx: Array) -> None:
        """Row sums by dot products."""
        for rows in row_blocks(*y.shape):
            part, slope = y[rows], dx[rows]
            mean = workspace.take("mean", (part.shape[0],), y.dtype)
            np.vecdot(part, dy[rows], out=mean)  # (n, C) . (n, C) -> (n,)
            np.subtract(dy[rows], mean[:, None], out=slope)
            np.multiply(slope, part, out=slope)

    @quiet
    def log_softmax(self, x: Array, y: Array) -> None:
        """One block of scratch for the exponentials."""
        for rows in row_blocks(*x.shape):
            part = y[rows]
            shift(x[rows], part)
            total = exponentials(part, workspace.like("exponentials", part))
            np.log(total, out=total)
            np.subtract(part, total[:, None], out=part)

    @quiet
    def log_softmax_backward(self, y: Array, dy: Array, dx: Array) -> None:
        """In the destination, a block of rows at a time."""
        for rows in row_blocks(*y.shape):
            part, slope = dy[rows], dx[rows]
            total = workspace.take("total", (part.shape[0],), y.dtype)
            row_sums(part, total)  # (n, C) -> (n,)
            np.exp(y[rows], out=slope)
            np.multiply(slope, total[:, None], out=slope)
            np.subtract(part, slope, out=slope)


def shift(x: Array, shifted: Array) -> None:
    """shifted = x minus the largest of its row."""
    np.subtract(x, _largest(x)[:, None], out=shifted)


def _largest(x: Array) -> Array:
    """Return the largest element of each row, in scratch.

    On rows of ten elements argmax costs a tenth of maximum.reduce, on long ones about the same.
    """
    rows, columns = x.shape
    top, where = workspace.take("top", (rows,), x.dtype), workspace.take("where", (rows,), _INDEX)
    first = workspace.take("first", (rows,), _INDEX)
    np.argmax(x, axis=1, out=where)  # (n, C) -> (n,)
    np.multiply(workspace.counting(rows), columns, out=first)
    np.add(where, first, out=where)
    return np.take(x.reshape(-1), where, out=top, mode="clip")


def exponentials(x: Array, out: Array) -> Array:
    """out = e^x; return the sums of its rows, in scratch."""
    total = workspace.take("total", (x.shape[0],), x.dtype)
    np.exp(x, out=out)
    row_sums(out, total)
    return total


def _zeros(x: Array) -> Array:
    return workspace.filled(0.0, x.size, x.dtype)


def _relu(x: Array, y: Array, _alpha: float) -> None:
    np.maximum(x, _zeros(x), out=y)


def _leaky_relu(x: Array, y: Array, alpha: float) -> None:
    negative = workspace.like("negative", x)
    np.minimum(x, _zeros(x), out=negative)
    np.multiply(negative, alpha, out=negative)
    np.maximum(x, _zeros(x), out=y)
    np.add(y, negative, out=y)


def _elu(x: Array, y: Array, alpha: float) -> None:
    negative = workspace.like("negative", x)
    np.minimum(x, _zeros(x), out=negative)
    np.expm1(negative, out=negative)
    np.multiply(negative, alpha, out=negative)
    np.maximum(x, _zeros(x), out=y)
    np.add(y, negative, out=y)


def _sigmoid(x: Array, y: Array, _alpha: float) -> None:
    """e / (1 + e) with e = e^x, x cut where the quotient has long become 1."""
    divisor = workspace.like("divisor", x)
    np.minimum(x, workspace.filled(_CERTAIN, x.size, x.dtype), out=y)
    np.exp(y, out=y)
    np.add(y, 1, out=divisor)
    np.divide(y, divisor, out=y)


def _tanh(x: Array, y: Array, _alpha: float) -> None:
    np.tanh(x, out=y)


def _softplus(x: Array, y: Array, _alpha: float) -> None:
    """max(x, 0) + log(1 + e^-|x|)."""
    tail = workspace.like("tail", x)
    np.abs(x, out=tail)
    np.negative(tail, out=tail)
    np.exp(tail, out=tail)
    np.log1p(tail, out=tail)
    np.maximum(x, _zeros(x), out=y)
    np.add(y, tail, out=y)


def _gelu(x: Array, y: Array, _alpha: float) -> None:
    finite, phi, _ = normal(x)
    np.multiply(phi, finite, out=phi)
    y[...] = phi


def _silu(x: Array, y: Array, alpha: float) -> None:
    finite = workspace.like("finite", x)
    np.maximum(x, workspace.filled(_LOST, x.size, x.dtype), out=finite)
    _sigmoid(finite, y, alpha)
    np.multiply(y, finite, out=y)


FORWARD = {
    "relu": _relu,
    "leaky_relu": _leaky_relu,
    "elu": _elu,
    "sigmoid": _sigmoid,
    "tanh": _tanh,
    "softplus": _softplus,
    "gelu": _gelu,
    "silu": _silu,
}
"""Kernels (x, y, alpha) on flat blocks; those that `linear` fuses may work in place, y being x."""


def _relu_backward(y: Array, dy: Array, dx: Array, _alpha: float) -> None:
    np.greater(y, 0, out=dx)
    np.multiply(dx, dy, out=dx)


def _leaky_slope(y: Array, slope: Array, alpha: float) -> None:
    """slope = 1 where y > 0, else alpha, both exact: [y > 0] + alpha (1 - [y > 0])."""
    left = workspace.like("left", y)
    np.greater(y, 0, out=slope)
    np.subtract(1, slope, out=left)
    np.multiply(left, alpha, out=left)
    np.add(slope, left, out=slope)


def _leaky_relu_backward(y: Array, dy: Array, dx: Array, alpha: float) -> None:
    _leaky_slope(y, dx, alpha)
    np.multiply(dx, dy, out=dx)


def _elu_backward(y: Array, dy: Array, dx: Array, alpha: float) -> None:
    """f' = 1 where y > 0, else y + alpha."""
    negative = workspace.like("negative", y)
    _leaky_slope(y, dx, alpha)
    np.minimum(y, _zeros(y), out=negative)
    np.add(dx, negative, out=dx)
    np.multiply(dx, dy, out=dx)


def _sigmoid_backward(y: Array, dy: Array, dx: Array, _alpha: float) -> None:
    np.subtract(1, y, out=dx)
    np.multiply(dx, y, out=dx)
    np.multiply(dx, dy, out=dx)


def _tanh_backward(y: Array, dy: Array, dx: Array, _alpha: float) -> None:
    above = workspace.like("above", y)
    np.add(y, 1, out=above)
    np.subtract(1, y, out=dx)
    np.multiply(dx, above, out=dx)
    np.multiply(dx, dy, out=dx)


def _softplus_backward(y: Array, dy: Array, dx: Array, _alpha: float) -> None:
    np.negative(y, out=dx)
    np.expm1(dx, out=dx)
    np.negative(dx, out=dx)
    np.multiply(dx, dy, out=dx)


FROM_OUTPUT = {
    "relu": _relu_backward,
    "leaky_relu": _leaky_relu_backward,
    "elu": _elu_backward,
    "sigmoid": _sigmoid_backward,
    "tanh": _tanh_backward,
    "softplus": _softplus_backward,
}
"""Kernels (y, dy, dx, alpha) on flat blocks."""


def _gelu_backward(x: Array, dy: Array, dx: Array) -> None:
    """f' = Phi(x) + x phi(x); x is cut so that the density wins."""
    finite, phi, bell = normal(x)
    np.minimum(finite, workspace.filled(-_LOST, x.size, finite.dtype), out=finite)
    np.multiply(bell, 1 / math.sqrt(2 * math.pi), out=bell)
    np.multiply(bell, finite, out=bell)
    np.add(phi, bell, out=phi)
    np.multiply(phi, dy, out=phi)
    dx[...] = phi


def _silu_backward(x: Array, dy: Array, dx: Array) -> None:
    """f' = s + x s / (1 + e) with e = e^x and s = e / (1 + e)."""
    finite, divisor = workspace.like("finite", x), workspace.like("divisor", x)
    np.clip(x, _LOST, _CERTAIN, out=finite)
    np.exp(finite, out=dx)
    np.add(dx, 1, out=divisor)
    np.divide(dx, divisor, out=dx)
    np.divide(finite, divisor, out=finite)
    np.multiply(finite, dx, out=finite)
    np.add(dx, finite, out=dx)
    np.multiply(dx, dy, out=dx)


FROM_INPUT = {"gelu": _gelu_backward, "silu": _silu_backward}
"""Kernels (x, dy, dx) on flat blocks, for the activations whose derivative needs the input."""
