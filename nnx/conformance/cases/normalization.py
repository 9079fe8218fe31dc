"""Cases of `nnx.interface.normalization`, with the error analysis of a two-pass variance."""

from __future__ import annotations

import math
from functools import partial

import numpy as np

from nnx.conformance.case import Arguments, Case, Draw, InPlace, Input, Output, over
from nnx.conformance.tolerance import FORMATION, ULPS, Bound, Context, Values, elementwise, reduction

EPS = 1e-5
MOMENTUM = 0.1


class Moments:
    """Errors of mean, variance and what is made of them; along `axis`, kept as an extent of 1.

    The mean errs by n eps mean|x|; the variance of values centred by it by n eps var plus the square of the
    mean's error (the first-order part vanishes: sum (x - mean) = 0). E[x^2] - mean^2 would err by
    n eps E[x^2].
    """

    def __init__(self, context: Context, axis: int) -> None:
        """Evaluate mean, variance and their errors."""
        x, unit = context["x"], context.unit
        count = (x.shape[axis] + FORMATION) * unit
        mean = np.mean(x, axis=axis, keepdims=True)
        self.centred = np.abs(x - mean)
        self.mean_error = count * np.mean(np.abs(x), axis=axis, keepdims=True)
        var = np.mean(self.centred**2, axis=axis, keepdims=True)
        self.var_error = count * var + self.mean_error**2
        self.rstd = 1 / np.sqrt(var + EPS)
        self.rstd_error = 0.5 * self.rstd**3 * self.var_error + ULPS * unit * self.rstd
        self.scaled = self.centred * self.rstd
        self.scaled_error = self.centred * self.rstd_error + self.rstd * self.mean_error + ULPS * unit * self.scaled

    def output_error(self, context: Context) -> Values:
        """Error of gamma (x - mean) rstd + beta."""
        gamma, beta = np.abs(context["gamma"]), np.abs(context["beta"])
        return gamma * self.scaled_error + ULPS * context.unit * (gamma * self.scaled + beta)


def _mean_bound(axis: int) -> Bound:
    return lambda context: np.squeeze(Moments(context, axis).mean_error, axis)


def _rstd_bound(axis: int) -> Bound:
    return lambda context: np.squeeze(Moments(context, axis).rstd_error, axis)


def _output_bound(axis: int) -> Bound:
    return lambda context: Moments(context, axis).output_error(context)


def _moving_terms(name: str, context: Context) -> Values:
    before, after = np.abs(context[name]) * (1 - MOMENTUM), np.abs(context.after[name])
    return 2 * before + after  # |new - old part| + |old part| is at most this


def _running_mean_bound(context: Context) -> Values:
    own = ULPS * context.unit * _moving_terms("running_mean", context)
    return own + MOMENTUM * _mean_bound(0)(context)


def _running_var_bound(context: Context) -> Values:
    n = context["x"].shape[0]
    own = ULPS * context.unit * _moving_terms("running_var", context)
    return own + MOMENTUM * n / max(n - 1, 1) * np.squeeze(Moments(context, 0).var_error, 0)


def _batch_norm(draw: Draw, x: Values) -> Arguments:
    c = x.shape[1]
    return {
        "x": Input(x),
        "gamma": Input(draw.normal(c, mean=1.0, spread=0.5)),
        "beta": Input(draw.normal(c)),
        "running_mean": InPlace(draw.normal(c), _running_mean_bound),
        "running_var": InPlace(draw.uniform(c, low=0.5, high=2.0), _running_var_bound),
        "y": Output(x.shape, _output_bound(0)),
        "mean": Output((c,), _mean_bound(0)),
        "rstd": Output((c,), _rstd_bound(0)),
        "momentum": MOMENTUM,
        "eps": EPS,
    }


def _layer_norm(draw: Draw, x: Values) -> Arguments:
    n, f = x.shape
    return {
        "x": Input(x),
        "gamma": Input(draw.normal(f, mean=1.0, spread=0.5)),
        "beta": Input(draw.normal(f)),
        "y": Output(x.shape, _output_bound(1)),
        "mean": Output((n,), _mean_bound(1)),
        "rstd": Output((n,), _rstd_bound(1)),
        "eps": EPS,
    }


def _batch_norm_infer(draw: Draw, *shape: int) -> Arguments:
    def terms(context: Context) -> Values:  # also allows for gamma and the statistics folded into y = a x + b
        scale = np.abs(context["gamma"]) / np.sqrt(context["running_var"] + EPS)
        return scale * (np.abs(context["x"]) + np.abs(context["running_mean"])) + np.abs(context["beta"])

    c = shape[1]
    return {
        "x": Input(draw.normal(*shape)),
        "gamma": Input(draw.normal(c, mean=1.0)),
        "beta": Input(draw.normal(c)),
        "running_mean": Input(draw.normal(c)),
        "running_var": Input(np.concatenate([np.zeros(1), draw.uniform(c, low=0.1, high=3.0)])[:c]),
        "y": Output(shape, elementwise(terms)),
        "eps": EPS,
    }


def _backward(draw: Draw, axis: int, x: Values, *, wants_dx: bool = True) -> Arguments:
    """Arguments shared by both backward kernels; mean and rstd lie along the other axis."""
    mean = np.mean(x, axis=axis)
    rstd = draw.round(1 / np.sqrt(np.var(x, axis=axis) + EPS))
    per_channel, rows = (x.shape[1],), x.shape[0]
    dx = _batch_dx_terms if axis == 0 else _layer_dx_terms
    return {
        "x": Input(x),
        "gamma": Input(draw.normal(*per_channel, mean=1.0, spread=0.5)),
        "mean": Input(draw.round(mean)),
        "rstd": Input(rstd),
        "dy": Input(draw.normal(*x.shape)),
        "dx": Output(x.shape, reduction(x.shape[axis], dx)) if wants_dx else None,
        "dgamma": Output(per_channel, reduction(rows, partial(_dgamma_terms, axis=axis))),
        "dbeta": Output(per_channel, reduction(rows, lambda c: np.sum(np.abs(c["dy"]), axis=0))),
    }


def _scaled(context: Context, axis: int) -> Values:
    mean, rstd = (np.expand_dims(context[name], axis) for name in ("mean", "rstd"))
    return np.abs((context["x"] - mean) * rstd)


def _dgamma_terms(context: Context, axis: int) -> Values:
    return np.sum(np.abs(context["dy"]) * _scaled(context, axis), axis=0)


def _batch_dx_terms(context: Context) -> Values:
    h, dy = _scaled(context, 0), np.abs(context["dy"])
    scale = np.abs(context["gamma"]) * context["rstd"]
    return scale * (dy + np.mean(dy, axis=0) + h * np.mean(dy * h, axis=0))


def _layer_dx_terms(context: Context) -> Values:
    h, q = _scaled(context, 1), np.abs(context["dy"] * context["gamma"])
    means = np.mean(q, axis=1, keepdims=True) + h * np.mean(q * h, axis=1, keepdims=True)
    return context["rstd"][:, None] * (q + means)


def _far_from_zero(draw: Draw, *shape: int) -> Values:
    """A mean so many times the spread that squares would lose all digits of the variance."""
    return draw.normal(*shape, mean=1e4 if draw.dtype == "float32" else 1e8)


def _hard_columns(draw: Draw, axis: int) -> Values:
    """Constant, tiny, subnormal, large, and mixed values."""
    x = draw.normal(33, 37)
    lines = x if axis == 1 else x.T
    lines[0], lines[1] = 2.0, 0.0
    for line, scale in ((2, 1e-20), (3, 1e-40), (4, 1e15), (5, 1e3)):
        lines[line] *= scale
    return draw.round(x)


def _with_nan(draw: Draw) -> Values:
    x = draw.normal(33, 35)
    x[4, 6], x[20, 34] = math.nan, math.nan
    return x


_BATCHES = ((32, 32), (1, 1), (1, 33), (2, 31), (3, 0), (31, 33), (33, 257), (257, 32), (255, 1), (1000, 513))
_ROWS = ((32, 32), (0, 5), (1, 1), (33, 1), (31, 33), (33, 31), (2, 257), (257, 255), (3, 2050), (1000, 513))
_INFER = ((0, 5), *_BATCHES)

CASES: tuple[Case, ...] = (
    *over("batch_norm", _BATCHES, lambda draw, *shape: _batch_norm(draw, draw.normal(*shape, mean=0.5))),
    Case("batch_norm", "(257, 33) mean far from zero", lambda d: _batch_norm(d, _far_from_zero(d, 257, 33))),
    Case("batch_norm", "(33, 37) hard columns", lambda d: _batch_norm(d, _hard_columns(d, 0))),
    Case("batch_norm", "(33, 35) NaN", lambda d: _batch_norm(d, _with_nan(d))),
    *over("batch_norm_infer", _INFER, _batch_norm_infer),
    *over("batch_norm_backward", _BATCHES, lambda d, *s: _backward(d, 0, d.normal(*s, mean=0.5))),
    Case("batch_norm_backward", "(33, 31) no dx", lambda d: _backward(d, 0, d.normal(33, 31), wants_dx=False)),
    Case(
        "batch_norm_backward", "(257, 33) mean far from zero", lambda d: _backward(d, 0, _far_from_zero(d, 257, 33))
    ),
    *over("layer_norm", _ROWS, lambda draw, *shape: _layer_norm(draw, draw.normal(*shape, mean=0.5))),
    Case("layer_norm", "(33, 257) mean far from zero", lambda d: _layer_norm(d, _far_from_zero(d, 33, 257))),
    Case("layer_norm", "(33, 37) hard rows", lambda d: _layer_norm(d, _hard_columns(d, 1))),
    Case("layer_norm", "(33, 35) NaN", lambda d: _layer_norm(d, _with_nan(d))),
    *over("layer_norm_backward", _ROWS, lambda d, *s: _backward(d, 1, d.normal(*s, mean=0.5))),
    Case("layer_norm_backward", "(33, 31) no dx", lambda d: _backward(d, 1, d.normal(33, 31), wants_dx=False)),
    Case(
        "layer_norm_backward", "(33, 257) mean far from zero", lambda d: _backward(d, 1, _far_from_zero(d, 33, 257))
    ),
)
