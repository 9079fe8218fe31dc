"""Activations and softmax: each one pass over memory, on vector instructions."""

from __future__ import annotations

from nnx.interface import ELEMENTWISE, Array, Backend
from nnx_numba import elementary
from nnx_numba.hostarrays import GRAIN, flat, plain, row_grain
from nnx_numba.kernel import Kernel, kernel
from nnx_numba.lanes import Formula, Value, at_least, at_most, where
from nnx_numba.sweeps import passes, sweep
from nnx_numba.vectors import TOP, TOTAL

_SILU_END = 1000.0  # the sigmoid is 0 or 1 beyond, and infinity times 0 would be NaN
_GELU_END = 50.0


def identity(x: Value, alpha: Value) -> Value:  # noqa: ARG001
    """The identity, for layers without activation."""
    return x


def relu(x: Value, alpha: Value) -> Value:  # noqa: ARG001
    """A NaN is not <= 0, and stays."""
    return where(x <= 0.0, 0.0, x)


def leaky_relu(x: Value, alpha: Value) -> Value:
    """See `Backend.activate`."""
    return where(x <= 0.0, alpha * x, x)


def elu(x: Value, alpha: Value) -> Value:
    """See `Backend.activate`."""
    return where(x <= 0.0, alpha * elementary.expm1(at_most(x, 0.0)), x)


def sigmoid(x: Value, alpha: Value) -> Value:  # noqa: ARG001
    """See `Backend.activate`."""
    return elementary.sigmoid(x)


def tanh(x: Value, alpha: Value) -> Value:  # noqa: ARG001
    """See `Backend.activate`."""
    return elementary.tanh(x)


def softplus(x: Value, alpha: Value) -> Value:  # noqa: ARG001
    """See `Backend.activate`."""
    return elementary.softplus(x)


def gelu(x: Value, alpha: Value) -> Value:  # noqa: ARG001
    """See `Backend.activate`."""
    return at_least(x, -_GELU_END) * elementary.normal_cdf(x)


def silu(x: Value, alpha: Value) -> Value:  # noqa: ARG001
    """See `Backend.activate`."""
    return elementary.silu(x)


def d_identity(x: Value, y: Value, alpha: Value) -> Value:  # noqa: ARG001
    """The derivative, as those below, from x and y = f(x)."""
    return y.constant(1.0)


def d_relu(x: Value, y: Value, alpha: Value) -> Value:  # noqa: ARG001
    """From the left at 0."""
    return where(y > 0.0, y.constant(1.0), 0.0)


def d_leaky_relu(x: Value, y: Value, alpha: Value) -> Value:  # noqa: ARG001
    """From the left at 0."""
    return where(y > 0.0, 1.0, alpha)


def d_elu(x: Value, y: Value, alpha: Value) -> Value:  # noqa: ARG001
    """From the left at 0."""
    return where(y > 0.0, 1.0, y + alpha)


def d_sigmoid(x: Value, y: Value, alpha: Value) -> Value:  # noqa: ARG001
    """y (1 - y)."""
    return y * (1.0 - y)


def d_tanh(x: Value, y: Value, alpha: Value) -> Value:  # noqa: ARG001
    """1 - y^2, factored so that nothing cancels twice."""
    return (1.0 - y) * (1.0 + y)


def d_softplus(x: Value, y: Value, alpha: Value) -> Value:  # noqa: ARG001
    """1 - e^-y, the sigmoid of x."""
    return -elementary.expm1(-y)


def d_gelu(x: Value, y: Value, alpha: Value) -> Value:  # noqa: ARG001
    """Phi(x) + x phi(x)."""
    x = at_most(at_least(x, -_GELU_END), _GELU_END)
    return elementary.normal_cdf(x) + x * elementary.normal_density(x)


def d_silu(x: Value, y: Value, alpha: Value) -> Value:  # noqa: ARG001
    """s + x s (1 - s), s the sigmoid of x."""
    x = at_most(at_least(x, -_SILU_END), _SILU_END)
    e = elementary.exp(-abs(x))
    share = 1.0 / (1.0 + e)
    s, opposite = where(x < 0.0, e, 1.0) * share, where(x < 0.0, 1.0, e) * share
    return s + x * s * opposite


FORMULAS: dict[str, tuple[Formula, Formula]] = {
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
    over = sweep(FORMULAS[name][0])

    def activate(first: int, last: int, x: Array, y: Array, alpha: float) -> None:
        over((y[first:last],), (x[first:last],), (x.dtype.type(alpha),))

    return Kernel(activate, name)


def _backward(name: str) -> Kernel:
    derivative = FORMULAS[name][1]
    over = sweep(lambda x, y, dy, alpha: dy * derivative(x, y, alpha))

    def activate_backward(first: int, last: int, x: Array, y: Array, dy: Array, dx: Array, alpha: float) -> None:
        over((dx[first:last],), (x[first:last], y[first:last], dy[first:last]), (x.dtype.type(alpha),))

    return Kernel(activate_backward, name)


_FORWARD = {name: _forward(name) for name in ELEMENTWISE}
_BACKWARD = {name: _backward(name) for name in ELEMENTWISE}


def forward_entry(name: str, arguments: tuple[Array, Array, float]) -> int:
    """Return the address of an activation's C entry for (x, y, alpha), for kernels that call it themselves."""
    return _FORWARD[name].address(arguments)


def top_of(x: Value, *_: Value) -> Value:
    """The first pass of a softmax: the largest element."""
    return x


def _exp_and_sum(x: Value, top: Value) -> tuple[Value, Value]:
    e = elementary.exp_falling(x - top)
    return e, e


def _share(x: Value, e: Value, top: Value, total: Value) -> Value:  # noqa: ARG001
    return e * (1.0 / total)


def _log_share(x: Value, top: Value, total: Value) -> Value:
    return (x - top) - elementary.log(total)


_softmax = passes((top_of, TOP), (_exp_and_sum, TOTAL), (_share,))
_log_softmax = passes((top_of, TOP), (lambda x, top: _exp_and_sum(x, top)[0], TOTAL), (_log_share,))
_softmax_slope = passes(
    (lambda y, dy: y * dy, TOTAL),
    (lambda y, dy, total: y * (dy - total),),
)
_log_softmax_slope = passes(
    (lambda y, dy: dy, TOTAL),  # noqa: ARG005
    (lambda y, dy, total: dy - elementary.exp_falling(y) * total,),
)


@kernel
def softmax(first: int, last: int, x: Array, y: Array) -> None:
    """Three passes over a row in cache; units are rows."""
    for i in range(first, last):
        _softmax(i, (y,), (x,), ())


@kernel
def softmax_backward(first: int, last: int, y: Array, dy: Array, dx: Array) -> None:
    """Two passes over a row in cache; units are rows."""
    for i in range(first, last):
        _softmax_slope(i, (dx,), (y, dy), ())


@kernel
def log_softmax(first: int, last: int, x: Array, y: Array) -> None:
    """Three passes over a row in cache; units are rows."""
    for i in range(first, last):
        _log_softmax(i, (y,), (x,), ())


@kernel
def log_softmax_backward(first: int, last: int, y: Array, dy: Array, dx: Array) -> None:
    """Two passes over a row in cache; units are rows."""
    for i in range(first, last):
        _log_softmax_slope(i, (dx,), (y, dy), ())


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
