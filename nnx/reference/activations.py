"""Reference for `nnx.interface.activations`."""

from __future__ import annotations

import math
from typing import Any

from nnx.reference.special import normal_cdf

Array = Any


def function(xp: Any, x: Array, activation: str, alpha: float) -> Array:
    """Return f(x) of an elementwise activation, or x itself for "identity"."""
    match activation:
        case "identity":
            return x
        case "relu":
            return xp.where(x <= 0, xp.zeros_like(x), x)  # not max(x, 0): NaN must stay NaN
        case "leaky_relu":
            return xp.where(x <= 0, alpha * x, x)
        case "elu":
            return xp.where(x <= 0, alpha * xp.expm1(_not_positive(xp, x)), x)
        case "sigmoid":
            return sigmoid(xp, x)
        case "tanh":
            return xp.tanh(x)
        case "softplus":
            return softplus(xp, x)
        case "gelu":
            return _vanishing(xp, x, x * normal_cdf(xp, x))
        case "silu":
            return _vanishing(xp, x, x * sigmoid(xp, x))
    raise ValueError(f"no elementwise activation is called {activation!r}")


def derivative_from_output(xp: Any, y: Array, activation: str, alpha: float) -> Array:
    """Return f'(x) as a function of y = f(x), for the activations that linear can fuse."""
    match activation:
        case "identity":
            return xp.ones_like(y)
        case "relu":
            return xp.where(y > 0, xp.ones_like(y), xp.zeros_like(y))
        case "leaky_relu":
            return xp.where(y > 0, xp.ones_like(y), xp.full_like(y, alpha))
        case "elu":
            return xp.where(y > 0, xp.ones_like(y), y + alpha)
        case "sigmoid":
            return y * (1 - y)
        case "tanh":
            return (1 - y) * (1 + y)
        case "softplus":
            return -xp.expm1(-y)  # sigmoid(x) = 1 - e^-y
    raise ValueError(f"the derivative of {activation!r} is not a function of its output")


def derivative(xp: Any, x: Array, y: Array, activation: str, alpha: float) -> Array:
    """Return f'(x) of an elementwise activation, given x and y = f(x)."""
    match activation:
        case "gelu":
            density = xp.exp(-0.5 * x * x) / math.sqrt(2 * math.pi)
            return normal_cdf(xp, x) + _vanishing(xp, x, x * density)
        case "silu":
            s = sigmoid(xp, x)
            return s + _vanishing(xp, x, x * s * sigmoid(xp, -x))
    return derivative_from_output(xp, y, activation, alpha)


def sigmoid(xp: Any, x: Array) -> Array:
    """1 / (1 + e^-x) without overflow: the exponent is never positive."""
    e = xp.exp(-xp.abs(x))
    return xp.where(x < 0, e, xp.ones_like(e)) / (1 + e)


def softplus(xp: Any, x: Array) -> Array:
    """log(1 + e^x) without overflow."""
    return function(xp, x, "relu", 0.0) + xp.log1p(xp.exp(-xp.abs(x)))


def _not_positive(xp: Any, x: Array) -> Array:
    return xp.where(x > 0, xp.zeros_like(x), x)


def _vanishing(xp: Any, x: Array, product: Array) -> Array:
    """x times something that vanishes at infinity: the product's limit 0 where infinity times 0 gave NaN."""
    infinite = xp.isinf(x) & xp.isnan(product)
    return xp.where(infinite, xp.zeros_like(product), product)


def activate(xp: Any, x: Array, y: Array, activation: str, alpha: float) -> None:
    """y = f(x)."""
    y[...] = function(xp, x, activation, alpha)


def activate_backward(xp: Any, x: Array, y: Array, dy: Array, dx: Array, activation: str, alpha: float) -> None:
    """dx = dy f'(x)."""
    dx[...] = dy * derivative(xp, x, y, activation, alpha)


def softmax(xp: Any, x: Array, y: Array) -> None:
    """e^(x - m) / sum e^(x - m) of each row."""
    e = xp.exp(x - xp.max(x, axis=1, keepdims=True))
    y[...] = e / xp.sum(e, axis=1, keepdims=True)


def softmax_backward(xp: Any, y: Array, dy: Array, dx: Array) -> None:
    """dx = y (dy - sum y dy) of each row."""
    dx[...] = y * (dy - xp.sum(y * dy, axis=1, keepdims=True))


def log_probabilities(xp: Any, x: Array) -> Array:
    """x - m - log sum e^(x - m) of each row."""
    shifted = x - xp.max(x, axis=1, keepdims=True)
    return shifted - xp.log(xp.sum(xp.exp(shifted), axis=1, keepdims=True))


def log_softmax(xp: Any, x: Array, y: Array) -> None:
    """Logarithm of the softmax of each row."""
    y[...] = log_probabilities(xp, x)


def log_softmax_backward(xp: Any, y: Array, dy: Array, dx: Array) -> None:
    """dx = dy - e^y sum dy of each row."""
    dx[...] = dy - xp.exp(y) * xp.sum(dy, axis=1, keepdims=True)
