"""Cases of `nnx.interface.activations`."""

from __future__ import annotations

import math
from functools import partial

import numpy as np

from nnx.conformance.case import Arguments, Case, Draw, Input, Output, late, over
from nnx.conformance.tolerance import Bound, Context, Values, elementwise, exact, reduction
from nnx.interface import ELEMENTWISE, Backend
from nnx.reference.activations import function
from nnx.reference.special import normal_cdf

ALPHA = 0.3
PIECEWISE = ("relu", "leaky_relu", "elu")
"""Activations with a kink; which side a NaN falls on in their derivative is left open."""

_XP = Backend.from_namespace(np).xp
_MAGNITUDES = (
    *(0.0, 5e-324, 1e-310, 1e-45, 1e-40, 1.2e-38, 1e-20, 1e-8, 1e-4, 0.1, 0.46875, 0.5, 0.66291, 0.75, 1.0),
    *(1.5, 3.0, 5.0, 5.6569, 8.0, 10.0, 13.0, 16.6, 17.0, 20.0, 37.0, 50.0, 87.3, 88.8, 103.9, 104.1, 500.0),
    *(709.7, 709.8, 745.1, 1e4, 1e19, 1e30, 3.4028234663852886e38, 1e300),
)
_FINITE = np.asarray([*_MAGNITUDES, *(-size for size in _MAGNITUDES)])
_SPECIAL = np.asarray([math.nan, math.inf, -math.inf, -0.0])
_SHAPES = (
    *((), (0,), (1,), (31,), (32,), (33,), (255,), (257,)),
    *((0, 4), (33, 31), (3, 5, 7), (2, 3, 4, 5), (1000, 513)),
)


def forward(x: Values, activation: str, alpha: float) -> Values:
    """Return f(x) by the reference."""
    with np.errstate(all="ignore"):
        return np.asarray(function(_XP, x, activation, alpha))


def _argument_rounding(x: Values) -> Values:
    """What rounding x^2 / 2 once costs e^(-x^2 / 2), as a multiple of the rounding: its condition number."""
    return 1 + np.minimum(x * x / 2, 1e4)


def _value_bound(activation: str) -> Bound:
    if activation == "relu":
        return exact
    if activation == "gelu":  # Phi falls like e^(-x^2 / 2) to the left of 0
        return elementwise(lambda c: np.abs(c.after["y"]) * _argument_rounding(np.minimum(c["x"], 0.0)))
    return elementwise()


def slope_terms(x: Values, y: Values, activation: str, alpha: float) -> Values:
    """Return the sum of the absolute terms of f'(x), where y may stand in for x and is rounded itself."""
    match activation:
        case "leaky_relu":
            return np.where(y > 0, 1.0, alpha)
        case "elu":
            return np.where(y > 0, 1.0, np.abs(y) + alpha)
        case "sigmoid":
            return y + y * y
        case "tanh":
            return 1 + y * y
        case "softplus":
            return -2 * np.expm1(-y)  # once for the function, once for the rounding of y
        case "silu":
            s, opposite = forward(x, "sigmoid", 0.0), forward(-x, "sigmoid", 0.0)
            return s + np.minimum(np.abs(x), 1e4) * s * opposite
        case "gelu":
            size = np.minimum(np.abs(x), 40.0)
            density = size * np.exp(-0.5 * size * size) / math.sqrt(2 * math.pi)
            return (np.asarray(normal_cdf(_XP, x)) + density) * _argument_rounding(size)
    return np.ones_like(y)


def _activate(draw: Draw, *shape: int, activation: str) -> Arguments:
    return _value_arguments(draw.normal(*shape, spread=3.0), activation)


def _activate_special(draw: Draw, activation: str) -> Arguments:
    sweep = np.linspace(-30.0, 30.0, 2003)
    return _value_arguments(draw.round(np.concatenate([_FINITE, _SPECIAL, sweep])), activation)


def _value_arguments(x: Values, activation: str) -> Arguments:
    bound = _value_bound(activation)
    return {"x": Input(x), "y": Output(x.shape, bound), "activation": activation, "alpha": ALPHA}


def _activate_backward(draw: Draw, *shape: int, activation: str) -> Arguments:
    return _slope_arguments(draw, draw.normal(*shape, spread=3.0), draw.normal(*shape), activation)


def _backward_special(draw: Draw, activation: str) -> Arguments:
    special = _SPECIAL[1:] if activation in PIECEWISE else _SPECIAL
    x = draw.round(np.concatenate([_FINITE, special, np.linspace(-30.0, 30.0, 2003)]))
    return _slope_arguments(draw, x, draw.normal(*x.shape), activation)


def _backward_nan(draw: Draw, activation: str) -> Arguments:
    """A gradient that is NaN on its way in."""
    dy = draw.normal(40)
    dy[::3] = math.nan
    return _slope_arguments(draw, draw.normal(40) + 4.0, dy, activation)


def _slope_arguments(draw: Draw, x: Values, dy: Values, activation: str) -> Arguments:
    def terms(context: Context) -> Values:
        return np.abs(context["dy"]) * slope_terms(context["x"], context["y"], activation, ALPHA)

    return {
        "x": Input(x),
        "y": Input(draw.round(forward(x, activation, ALPHA))),
        "dy": Input(dy),
        "dx": Output(x.shape, exact if activation == "relu" else elementwise(terms)),
        "activation": activation,
        "alpha": ALPHA,
    }


def spread_terms(x: Values) -> tuple[Values, Values, Values]:
    """Return p, |x - m| and 1 + D of each row: D is the average of |x - m| under p = softmax(x).

    x - m is rounded before it is exponentiated, which costs e^(x - m) a relative error of eps |x - m|, and
    their sum the average of these.
    """
    with np.errstate(all="ignore"):
        distance = np.abs(x - np.max(x, axis=1, keepdims=True))
        e = np.exp(-distance)
        p = e / np.sum(e, axis=1, keepdims=True)
        near = np.where(p > 0, distance, 0.0)
        return p, near, 1 + np.sum(p * near, axis=1, keepdims=True)


def _softmax(x: Values) -> Arguments:
    def terms(context: Context) -> Values:
        p, distance, spread = spread_terms(context["x"])
        return p * (distance + spread)

    return {"x": Input(x), "y": Output(x.shape, reduction(x.shape[1], terms))}


def log_softmax_terms(x: Values) -> Values:
    """Sum of the absolute terms of x - m - log sum e^(x - m). The size of m itself does not count."""
    p, _, spread = spread_terms(x)
    with np.errstate(all="ignore"):
        distance = np.max(x, axis=1, keepdims=True) - x
        return distance - np.log(np.max(p, axis=1, keepdims=True)) + spread


def _log_softmax(x: Values) -> Arguments:
    bound = reduction(x.shape[1], lambda c: log_softmax_terms(c["x"]))
    return {"x": Input(x), "y": Output(x.shape, bound)}


def _softmax_backward(draw: Draw, *shape: int) -> Arguments:
    def terms(context: Context) -> Values:
        y, dy = context["y"], np.abs(context["dy"])
        return y * (dy + np.sum(y * dy, axis=1, keepdims=True))

    y, _, _ = spread_terms(draw.normal(*shape, spread=2.0))
    return {
        "y": Input(draw.round(y)),
        "dy": Input(draw.normal(*shape)),
        "dx": Output(shape, reduction(shape[1], terms)),
    }


def _log_softmax_backward(draw: Draw, *shape: int) -> Arguments:
    def terms(context: Context) -> Values:
        y, dy = context["y"], np.abs(context["dy"])
        return dy + np.exp(y) * (1 + np.abs(y)) * np.sum(dy, axis=1, keepdims=True)

    p, _, _ = spread_terms(draw.normal(*shape, spread=2.0))
    return {
        "y": Input(draw.round(np.log(p))),
        "dy": Input(draw.normal(*shape)),
        "dx": Output(shape, reduction(shape[1], terms)),
    }


def _rows(draw: Draw, *shape: int) -> Values:
    return draw.normal(*shape, spread=3.0)


def extreme_rows(draw: Draw) -> Values:
    """Finite logits whose exponentials overflow, vanish, or tie."""
    x = draw.normal(12, 33)
    x[0] *= 1000.0
    x[1] = 1e4
    x[2] = -1e4
    x[3, 7], x[4, 32] = 1e30, -1e30
    x[5] = np.where(np.arange(33) % 2, 88.0, -88.0)
    x[6] += 1e5
    x[7, :] = 0.0
    x[8] *= 1e-40
    return draw.round(x)


def _infinite_rows(draw: Draw) -> Values:
    x = draw.normal(7, 33)
    x[0, 5], x[1, 32], x[3, 0], x[5, 31] = math.nan, -math.inf, math.inf, math.nan
    x[4] = -math.inf
    return x


_ROWS = (
    (32, 32),
    (0, 5),
    (1, 1),
    (4, 1),
    (31, 33),
    (33, 31),
    (257, 32),
    (2, 255),
    (5, 257),
    (1, 1000),
    (3, 2050),
    (1000, 513),
)

CASES: tuple[Case, ...] = (
    *over("activate", _SHAPES, partial(_activate, activation="tanh")),
    *(
        Case("activate", f"{shape} {f}", late(_activate, *shape, activation=f))
        for f in ELEMENTWISE
        for shape in ((33, 31), (257,))
    ),
    *(Case("activate", f"special values {f}", partial(_activate_special, activation=f)) for f in ELEMENTWISE),
    *over("activate_backward", _SHAPES, partial(_activate_backward, activation="silu")),
    *(
        Case(
            "activate_backward",
            f"{shape} {f}",
            late(_activate_backward, *shape, activation=f),
        )
        for f in ELEMENTWISE
        for shape in ((33, 31), (257,))
    ),
    *(Case("activate_backward", f"special x {f}", partial(_backward_special, activation=f)) for f in ELEMENTWISE),
    *(Case("activate_backward", f"NaN dy {f}", partial(_backward_nan, activation=f)) for f in ELEMENTWISE),
    *over("softmax", _ROWS, lambda draw, *shape: _softmax(_rows(draw, *shape))),
    Case("softmax", "(12, 33) extreme logits", lambda draw: _softmax(extreme_rows(draw))),
    Case("softmax", "(7, 33) NaN and infinities", lambda draw: _softmax(_infinite_rows(draw))),
    *over("softmax_backward", _ROWS, _softmax_backward),
    *over("log_softmax", _ROWS, lambda draw, *shape: _log_softmax(_rows(draw, *shape))),
    Case("log_softmax", "(12, 33) extreme logits", lambda draw: _log_softmax(extreme_rows(draw))),
    Case("log_softmax", "(7, 33) NaN and infinities", lambda draw: _log_softmax(_infinite_rows(draw))),
    *over("log_softmax_backward", _ROWS, _log_softmax_backward),
)
