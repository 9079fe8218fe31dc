"""Activations and softmax: each one pass over memory, on vector instructions."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from nnx.interface import ELEMENTWISE, Array, Backend
from nnx_numba import elementary
from nnx_numba.elementary import Real, at_least, at_most, normal_cdf, normal_density, one, zero
from nnx_numba.hostarrays import GRAIN, flat, plain, row_grain
from nnx_numba.instructions import accumulate, larger, number
from nnx_numba.jit import device
from nnx_numba.kernel import Kernel, kernel

_silu_end = number(1000.0)  # the sigmoid is 0 or 1 beyond, and infinity times 0 would be NaN
_gelu_end = number(50.0)


@device
def identity(x: Real, alpha: Real) -> Real:  # noqa: ARG001
    """The identity, for layers without activation."""
    return x


@device
def relu(x: Real, alpha: Real) -> Real:  # noqa: ARG001
    """A NaN is not <= 0, and stays."""
    return zero(x) if x <= zero(x) else x


@device
def leaky_relu(x: Real, alpha: Real) -> Real:
    """See `Backend.activate`."""
    return alpha * x if x <= zero(x) else x


@device
def elu(x: Real, alpha: Real) -> Real:
    """See `Backend.activate`."""
    return alpha * elementary.expm1(at_most(x, zero(x))) if x <= zero(x) else x


@device
def sigmoid(x: Real, alpha: Real) -> Real:  # noqa: ARG001
    """See `Backend.activate`."""
    return elementary.sigmoid(x)


@device
def tanh(x: Real, alpha: Real) -> Real:  # noqa: ARG001
    """See `Backend.activate`."""
    return elementary.tanh(x)


@device
def softplus(x: Real, alpha: Real) -> Real:  # noqa: ARG001
    """See `Backend.activate`."""
    return elementary.softplus(x)


@device
def gelu(x: Real, alpha: Real) -> Real:  # noqa: ARG001
    """See `Backend.activate`."""
    return at_least(x, -_gelu_end(x)) * normal_cdf(x)


@device
def silu(x: Real, alpha: Real) -> Real:  # noqa: ARG001
    """See `Backend.activate`."""
    return at_least(x, -_silu_end(x)) * elementary.sigmoid(x)


@device
def d_identity(x: Real, y: Real, alpha: Real) -> Real:  # noqa: ARG001
    """The derivative, as those below, from x and y = f(x)."""
    return one(y)


@device
def d_relu(x: Real, y: Real, alpha: Real) -> Real:  # noqa: ARG001
    """From the left at 0."""
    return one(y) if y > zero(y) else zero(y)


@device
def d_leaky_relu(x: Real, y: Real, alpha: Real) -> Real:  # noqa: ARG001
    """From the left at 0."""
    return one(y) if y > zero(y) else alpha


@device
def d_elu(x: Real, y: Real, alpha: Real) -> Real:  # noqa: ARG001
    """From the left at 0."""
    return one(y) if y > zero(y) else y + alpha


@device
def d_sigmoid(x: Real, y: Real, alpha: Real) -> Real:  # noqa: ARG001
    """y (1 - y)."""
    return y * (one(y) - y)


@device
def d_tanh(x: Real, y: Real, alpha: Real) -> Real:  # noqa: ARG001
    """1 - y^2, factored so that nothing cancels twice."""
    return (one(y) - y) * (one(y) + y)


@device
def d_softplus(x: Real, y: Real, alpha: Real) -> Real:  # noqa: ARG001
    """1 - e^-y, the sigmoid of x."""
    return -elementary.expm1(-y)


@device
def d_gelu(x: Real, y: Real, alpha: Real) -> Real:  # noqa: ARG001
    """Phi(x) + x phi(x)."""
    x = at_most(at_least(x, -_gelu_end(x)), _gelu_end(x))
    return normal_cdf(x) + x * normal_density(x)


@device
def d_silu(x: Real, y: Real, alpha: Real) -> Real:  # noqa: ARG001
    """s + x s (1 - s), s the sigmoid of x."""
    x = at_most(at_least(x, -_silu_end(x)), _silu_end(x))
    s = elementary.sigmoid(x)
    return s + x * s * elementary.sigmoid(-x)


FUNCTIONS: dict[str, Any] = {
    "identity": (identity, d_identity),
    "relu": (relu, d_relu),
    "leaky_relu": (leaky_relu, d_leaky_relu),
    "elu": (elu, d_elu),
    "sigmoid": (sigmoid, d_sigmoid),
    "tanh": (tanh, d_tanh),
    "softplus": (softplus, d_softplus),
    "gelu": (gelu, d_gelu),
    "silu": (silu, d_silu),
}
"""Each activation and its derivative."""


def _forward(name: str) -> Kernel:
    function: Callable[..., Any] = FUNCTIONS[name][0]

    def activate(first: int, last: int, x: Array, y: Array, alpha: float) -> None:
        x, y = x[first:last], y[first:last]
        slope = x.dtype.type(alpha)
        for i in range(x.size):
            y[i] = function(x[i], slope)

    return Kernel(activate, name)


def _backward(name: str) -> Kernel:
    derivative: Callable[..., Any] = FUNCTIONS[name][1]

    def activate_backward(first: int, last: int, x: Array, y: Array, dy: Array, dx: Array, alpha: float) -> None:
        x, y, dy, dx = x[first:last], y[first:last], dy[first:last], dx[first:last]
        slope = x.dtype.type(alpha)
        for i in range(x.size):
            dx[i] = dy[i] * derivative(x[i], y[i], slope)

    return Kernel(activate_backward, name)


_FORWARD = {name: _forward(name) for name in ELEMENTWISE}
_BACKWARD = {name: _backward(name) for name in ELEMENTWISE}


@device
def row_max(row: Array) -> Real:
    """The largest element, or NaN."""
    top = row[0]
    for j in range(row.size):
        top = larger(top, row[j])
    return top


@device
def row_sum(row: Array) -> Real:
    """Sum of a row."""
    total = zero(row[0])
    for j in range(row.size):
        total = accumulate(total, row[j])
    return total


@kernel
def softmax(first: int, last: int, x: Array, y: Array) -> None:
    """Three passes over a row in cache; units are rows."""
    for i in range(first, last):
        source, row = x[i], y[i]
        top = row_max(source)
        for j in range(row.size):
            row[j] = elementary.exp(source[j] - top)
        scale = one(top) / row_sum(row)
        for j in range(row.size):
            row[j] *= scale


@kernel
def softmax_backward(first: int, last: int, y: Array, dy: Array, dx: Array) -> None:
    """Two passes over a row in cache; units are rows."""
    for i in range(first, last):
        output, slope, row = y[i], dy[i], dx[i]
        total = zero(output[0])
        for j in range(row.size):
            total = accumulate(total, output[j] * slope[j])
        for j in range(row.size):
            row[j] = output[j] * (slope[j] - total)


@device
def log_of_sum(row: Array, top: Real) -> Real:
    """log sum e^(x - top) of a row."""
    total = zero(top)
    for j in range(row.size):
        total = accumulate(total, elementary.exp(row[j] - top))
    return math.log(total)


@kernel
def log_softmax(first: int, last: int, x: Array, y: Array) -> None:
    """Three passes over a row in cache; units are rows."""
    for i in range(first, last):
        source, row = x[i], y[i]
        top = row_max(source)
        log_total = log_of_sum(source, top)
        for j in range(row.size):
            row[j] = (source[j] - top) - log_total


@kernel
def log_softmax_backward(first: int, last: int, y: Array, dy: Array, dx: Array) -> None:
    """Two passes over a row in cache; units are rows."""
    for i in range(first, last):
        output, slope, row = y[i], dy[i], dx[i]
        total = row_sum(slope)
        for j in range(row.size):
            row[j] = slope[j] - elementary.exp(output[j]) * total


class Activations(Backend):
    """Elements and rows."""

    def activate(self, x: Array, y: Array, activation: str, alpha: float) -> None:
        """One pass."""
        _FORWARD[activation](x.size, GRAIN, flat(x), flat(y), float(alpha))

    def activate_backward(self, x: Array, y: Array, dy: Array, dx: Array, activation: str, alpha: float) -> None:
        """One pass."""
        _BACKWARD[activation](x.size, GRAIN, flat(x), flat(y), flat(dy), flat(dx), float(alpha))

    def softmax(self, x: Array, y: Array) -> None:
        """Row by row."""
        softmax(x.shape[0], row_grain(x.shape[1]), plain(x), y)

    def softmax_backward(self, y: Array, dy: Array, dx: Array) -> None:
        """Row by row."""
        softmax_backward(y.shape[0], row_grain(y.shape[1]), plain(y), plain(dy), dx)

    def log_softmax(self, x: Array, y: Array) -> None:
        """Row by row."""
        log_softmax(x.shape[0], row_grain(x.shape[1]), plain(x), y)

    def log_softmax_backward(self, y: Array, dy: Array, dx: Array) -> None:
        """Row by row."""
        log_softmax_backward(y.shape[0], row_grain(y.shape[1]), plain(y), plain(dy), dx)
