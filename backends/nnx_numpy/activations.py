"""Activation functions and their gradients, as few vectorised passes over blocks that stay in cache.

The formulas avoid masks: `where=` costs ten times an arithmetic pass, and so does a maximum with a scalar in
place of an array.
"""

from __future__ import annotations

import math

import numpy as np

from nnx import interface
from nnx.interface import Array
from nnx_numpy.blocks import broadcast, by_blocks, row_sums
from nnx_numpy.normal import normal
from nnx_numpy.plan import Plan, kernel
from nnx_numpy.workspace import row_blocks

_INDEX = np.dtype(np.int64)
_BOOL = np.dtype(np.bool_)
_CERTAIN = 80.0  # sigmoid(x) is 1 to the last bit of float64 from 37 on; e^80 is finite also in float32
_LOST = -1000.0  # e^x is 0 from here down, but x times 0 is not NaN


class Activations(interface.activations.Activations):
    """Kernels on elements and rows."""

    @kernel
    def activate(self, plan: Plan, x: Array, y: Array, activation: str, alpha: float) -> None:
        """A few passes per block."""
        by_blocks(plan, FORWARD[activation], (x, y), alpha)

    @kernel
    def activate_backward(
        self, plan: Plan, x: Array, y: Array, dy: Array, dx: Array, activation: str, alpha: float
    ) -> None:
        """A few passes per block; from y alone where that suffices."""
        if activation in FROM_INPUT:
            by_blocks(plan, FROM_INPUT[activation], (x, dy, dx))
        else:
            by_blocks(plan, FROM_OUTPUT[activation], (y, dy, dx), alpha)

    @kernel
    def softmax(self, plan: Plan, x: Array, y: Array) -> None:
        """In the destination, a block of rows at a time."""
        for rows in row_blocks(*x.shape):
            part = y[rows]
            shift(plan, x[rows], part)
            total = exponentials(plan, part, part)
            broadcast(plan, np.divide, part, total[:, None], part)

    @kernel
    def softmax_backward(self, plan: Plan, y: Array, dy: Array, dx: Array) -> None:
        """Row sums by dot products."""
        for rows in row_blocks(*y.shape):
            part, slope = y[rows], dx[rows]
            mean = plan.take("mean", (part.shape[0],), y.dtype)
            plan(np.vecdot, part, dy[rows], mean)  # (n, C) . (n, C) -> (n,)
            broadcast(plan, np.subtract, dy[rows], mean[:, None], slope)
            plan(np.multiply, slope, part, slope)

    @kernel
    def log_softmax(self, plan: Plan, x: Array, y: Array) -> None:
        """One block of scratch for the exponentials."""
        for rows in row_blocks(*x.shape):
            part = y[rows]
            shift(plan, x[rows], part)
            total = exponentials(plan, part, plan.like("exponentials", part))
            plan(np.log, total, total)
            broadcast(plan, np.subtract, part, total[:, None], part)

    @kernel
    def log_softmax_backward(self, plan: Plan, y: Array, dy: Array, dx: Array) -> None:
        """In the destination, a block of rows at a time."""
        for rows in row_blocks(*y.shape):
            part, slope = dy[rows], dx[rows]
            total = plan.take("total", (part.shape[0],), y.dtype)
            row_sums(plan, part, total)  # (n, C) -> (n,)
            plan(np.exp, y[rows], slope)
            broadcast(plan, np.multiply, slope, total[:, None], slope)
            plan(np.subtract, part, slope, slope)


def shift(plan: Plan, x: Array, shifted: Array) -> None:
    """shifted = x minus the largest of its row."""
    broadcast(plan, np.subtract, x, _largest(plan, x)[:, None], shifted)


def _largest(plan: Plan, x: Array) -> Array:
    """Return the largest element of each row, in scratch.

    On rows of ten elements argmax costs a tenth of maximum.reduce, on long ones about the same.
    """
    rows, columns = x.shape
    top, where = plan.take("top", (rows,), x.dtype), plan.take("where", (rows,), _INDEX)
    flat = plan.flat("rows", x)
    plan(flat.reshape(x.shape).argmax, 1, where)  # (n, C) -> (n,)
    plan(np.add, where, plan.counting(rows, columns), where)
    gather(plan, flat, where, top)
    return top


def gather(plan: Plan, flat: Array, positions: Array, out: Array) -> None:
    """out = flat[positions]; mode "clip", since "raise" would gather into a temporary first."""
    plan(flat.take, positions, None, out, "clip")


def exponentials(plan: Plan, x: Array, out: Array) -> Array:
    """Compute out = e^x; return the sums of its rows, in scratch."""
    total = plan.take("total", (x.shape[0],), x.dtype)
    plan(np.exp, x, out)
    row_sums(plan, out, total)
    return total


def _relu(plan: Plan, x: Array, y: Array, _alpha: float) -> None:
    plan.maximum(x, 0, y)


def _leaky_relu(plan: Plan, x: Array, y: Array, alpha: float) -> None:
    negative = plan.like("negative", x)
    plan.minimum(x, 0, negative)
    plan(np.multiply, negative, alpha, negative)
    plan.maximum(x, 0, y)
    plan(np.add, y, negative, y)


def _elu(plan: Plan, x: Array, y: Array, alpha: float) -> None:
    negative = plan.like("negative", x)
    plan.minimum(x, 0, negative)
    plan(np.expm1, negative, negative)
    plan(np.multiply, negative, alpha, negative)
    plan.maximum(x, 0, y)
    plan(np.add, y, negative, y)


def _sigmoid(plan: Plan, x: Array, y: Array, _alpha: float) -> None:
    """e / (1 + e) with e = e^x, x cut where the quotient has long become 1."""
    divisor = plan.like("divisor", x)
    plan.minimum(x, _CERTAIN, y)
    plan(np.exp, y, y)
    plan(np.add, y, 1, divisor)
    plan(np.divide, y, divisor, y)


def _tanh(plan: Plan, x: Array, y: Array, _alpha: float) -> None:
    plan(np.tanh, x, y)


def _softplus(plan: Plan, x: Array, y: Array, _alpha: float) -> None:
    """max(x, 0) + log(1 + e^-|x|)."""
    tail = plan.like("tail", x)
    plan(np.abs, x, tail)
    plan(np.negative, tail, tail)
    plan(np.exp, tail, tail)
    plan(np.log1p, tail, tail)
    plan.maximum(x, 0, y)
    plan(np.add, y, tail, y)


def _gelu(plan: Plan, x: Array, y: Array, _alpha: float) -> None:
    finite, phi, _ = normal(plan, x)
    plan(np.multiply, phi, finite, phi)
    plan.copy(phi, y)


def _silu(plan: Plan, x: Array, y: Array, alpha: float) -> None:
    finite = plan.like("finite", x)
    plan.maximum(x, _LOST, finite)
    _sigmoid(plan, finite, y, alpha)
    plan(np.multiply, y, finite, y)


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
"""Kernels (plan, x, y, alpha) on flat blocks; those that `linear` fuses may work in place, y being x."""


def _relu_backward(plan: Plan, y: Array, dy: Array, dx: Array, _alpha: float) -> None:
    indicate(plan, y, dx)
    plan(np.multiply, dx, dy, dx)


def indicate(plan: Plan, y: Array, out: Array) -> None:
    """out = 1 where y > 0, else 0; converting booleans in one piece beats the buffered cast of a comparison."""
    positive = plan.take("positive", y.shape, _BOOL)
    plan(np.greater, y, 0, positive)
    plan.copy(positive, out)


def _leaky_slope(plan: Plan, y: Array, slope: Array, alpha: float) -> None:
    """slope = 1 where y > 0, else alpha, both exact: [y > 0] + alpha (1 - [y > 0])."""
    left = plan.like("left", y)
    indicate(plan, y, slope)
    plan(np.subtract, 1, slope, left)
    plan(np.multiply, left, alpha, left)
    plan(np.add, slope, left, slope)


def _leaky_relu_backward(plan: Plan, y: Array, dy: Array, dx: Array, alpha: float) -> None:
    _leaky_slope(plan, y, dx, alpha)
    plan(np.multiply, dx, dy, dx)


def _elu_backward(plan: Plan, y: Array, dy: Array, dx: Array, alpha: float) -> None:
    """f' = 1 where y > 0, else y + alpha."""
    negative = plan.like("negative", y)
    _leaky_slope(plan, y, dx, alpha)
    plan.minimum(y, 0, negative)
    plan(np.add, dx, negative, dx)
    plan(np.multiply, dx, dy, dx)


def _sigmoid_backward(plan: Plan, y: Array, dy: Array, dx: Array, _alpha: float) -> None:
    plan(np.subtract, 1, y, dx)
    plan(np.multiply, dx, y, dx)
    plan(np.multiply, dx, dy, dx)


def _tanh_backward(plan: Plan, y: Array, dy: Array, dx: Array, _alpha: float) -> None:
    above = plan.like("above", y)
    plan(np.add, y, 1, above)
    plan(np.subtract, 1, y, dx)
    plan(np.multiply, dx, above, dx)
    plan(np.multiply, dx, dy, dx)


def _softplus_backward(plan: Plan, y: Array, dy: Array, dx: Array, _alpha: float) -> None:
    plan(np.negative, y, dx)
    plan(np.expm1, dx, dx)
    plan(np.negative, dx, dx)
    plan(np.multiply, dx, dy, dx)


FROM_OUTPUT = {
    "relu": _relu_backward,
    "leaky_relu": _leaky_relu_backward,
    "elu": _elu_backward,
    "sigmoid": _sigmoid_backward,
    "tanh": _tanh_backward,
    "softplus": _softplus_backward,
}
"""Kernels (plan, y, dy, dx, alpha) on flat blocks."""


def _gelu_backward(plan: Plan, x: Array, dy: Array, dx: Array) -> None:
    """f' = Phi(x) + x phi(x); x is cut so that the density wins."""
    finite, phi, bell = normal(plan, x)
    plan.minimum(finite, -_LOST, finite)
    plan(np.multiply, bell, 1 / math.sqrt(2 * math.pi), bell)
    plan(np.multiply, bell, finite, bell)
    plan(np.add, phi, bell, phi)
    plan(np.multiply, phi, dy, phi)
    plan.copy(phi, dx)


def _silu_backward(plan: Plan, x: Array, dy: Array, dx: Array) -> None:
    """f' = s + x s / (1 + e) with e = e^x and s = e / (1 + e)."""
    finite, divisor = plan.like("finite", x), plan.like("divisor", x)
    plan.maximum(x, _LOST, finite)
    plan.minimum(finite, _CERTAIN, finite)
    plan(np.exp, finite, dx)
    plan(np.add, dx, 1, divisor)
    plan(np.divide, dx, divisor, dx)
    plan(np.divide, finite, divisor, finite)
    plan(np.multiply, finite, dx, finite)
    plan(np.add, dx, finite, dx)
    plan(np.multiply, dx, dy, dx)


FROM_INPUT = {"gelu": _gelu_backward, "silu": _silu_backward}
"""Kernels (plan, x, dy, dx) on flat blocks, for the activations whose derivative needs the input."""
