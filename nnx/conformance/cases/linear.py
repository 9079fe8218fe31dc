"""Cases of `nnx.interface.linear`."""

from __future__ import annotations

import math
from functools import partial

import numpy as np

from nnx.conformance.case import Arguments, Case, Draw, Input, Output, late, over
from nnx.conformance.cases.activations import forward, slope_terms
from nnx.conformance.tolerance import Bound, Context, Values, elementwise, reduction
from nnx.interface import FUSED

ALPHA = 0.3


def _product(a: Values, b: Values, transpose_a: bool, transpose_b: bool) -> Arguments:
    def terms(context: Context) -> Values:
        left, right = np.abs(context["a"]), np.abs(context["b"])
        return (left.T if transpose_a else left) @ (right.T if transpose_b else right)

    m, k = a.shape[::-1] if transpose_a else a.shape
    n = b.shape[0] if transpose_b else b.shape[1]
    return {
        "a": Input(a),
        "b": Input(b),
        "out": Output((m, n), reduction(k, terms)),
        "transpose_a": transpose_a,
        "transpose_b": transpose_b,
    }


def _matmul(draw: Draw, m: int, k: int, n: int, *, transpose_a: bool, transpose_b: bool) -> Arguments:
    a = draw.normal(k, m) if transpose_a else draw.normal(m, k)
    b = draw.normal(n, k) if transpose_b else draw.normal(k, n)
    return _product(a, b, transpose_a, transpose_b)


def _matmul_special(draw: Draw) -> Arguments:
    a, b = draw.normal(33, 40), draw.normal(40, 35)
    a[3, 5], a[7, 0], b[39, 34], b[2, 2] = math.nan, math.inf, -math.inf, 0.0
    return _product(a, b, False, False)


def preactivation(context: Context) -> Values:
    """Sum of the absolute terms of x @ w + b."""
    bias = context.given.get("b", np.zeros(context["w"].shape[1]))
    return np.abs(context["x"]) @ np.abs(context["w"]) + np.abs(bias)


def _affine(x: Values, w: Values, b: Values | None, activation: str) -> Arguments:
    return {
        "x": Input(x),
        "w": Input(w),
        "b": None if b is None else Input(b),
        "y": Output((x.shape[0], w.shape[1]), _activated(x.shape[1], activation)),
        "activation": activation,
        "alpha": ALPHA,
    }


def _activated(length: int, activation: str) -> Bound:
    """Every fused activation has a slope of at most 1, so an error of z passes on at most whole.

    Where f' is small, f is computed from a z that is off by dz = n eps sum |x| |w|: the result moves by
    f'(z) dz <= dz, and by its own ulps.
    """
    before, own = reduction(length + 1, preactivation), elementwise()

    def bound(context: Context) -> Values:
        return before(context) + (0.0 if activation == "identity" else own(context))

    return bound


def _linear(draw: Draw, n: int, i: int, o: int, *, activation: str, bias: bool) -> Arguments:
    w = draw.normal(i, o, spread=1 / math.sqrt(max(i, 1)))
    return _affine(draw.normal(n, i), w, draw.normal(o) if bias else None, activation)


def _linear_large(draw: Draw, activation: str) -> Arguments:
    """Preactivations far outside the range where the functions bend."""
    return _affine(draw.normal(33, 4, spread=1000.0), draw.normal(4, 37), draw.normal(37), activation)


def _linear_special(draw: Draw, activation: str) -> Arguments:
    x = draw.normal(9, 5)
    x[2, 1], x[4, 4], x[6, 0] = math.nan, math.inf, -math.inf
    return _affine(x, draw.normal(5, 33), draw.normal(33), activation)


def _dz_terms(context: Context, activation: str) -> Values:
    y = context["y"]
    return np.abs(context["dy"]) * slope_terms(y, y, activation, ALPHA)


def _linear_backward(
    draw: Draw, n: int, i: int, o: int, *, activation: str, bias: bool, wants_dx: bool
) -> Arguments:
    x, w, b, dy = draw.normal(n, i), draw.normal(i, o), draw.normal(o), draw.normal(n, o)
    y = draw.round(forward(x @ w / math.sqrt(max(i, 1)) + b, activation, ALPHA))

    def dz(context: Context) -> Values:
        return _dz_terms(context, activation)

    return {
        "x": Input(x),
        "y": Input(y),
        "dy": Input(dy),
        "w": Input(w),
        "dz": None if activation == "identity" else Output((n, o), elementwise(dz)),
        "dx": Output((n, i), reduction(o, lambda c: dz(c) @ np.abs(c["w"]).T)) if wants_dx else None,
        "dw": Output((i, o), reduction(n, lambda c: np.abs(c["x"]).T @ dz(c))),
        "db": Output((o,), reduction(n, lambda c: np.sum(dz(c), axis=0))) if bias else None,
        "activation": activation,
        "alpha": ALPHA,
    }


_PRODUCTS = (
    *((0, 3, 4), (3, 0, 4), (3, 4, 0), (1, 1, 1), (31, 32, 33), (33, 31, 1), (1, 257, 33), (255, 33, 257)),
    *((257, 1, 32), (32, 32, 32), (33, 33, 33), (1000, 513, 65)),
)
_LAYERS = (
    *((0, 3, 4), (3, 0, 4), (3, 4, 0), (1, 1, 1), (2, 16, 1), (31, 33, 32), (33, 31, 257), (257, 255, 10)),
    *((1, 257, 33), (32, 32, 32), (33, 33, 33), (128, 784, 20), (1000, 513, 255)),
)

CASES: tuple[Case, ...] = (
    *(
        Case("matmul", f"{case.label} {'T' if ta else 'N'}{'T' if tb else 'N'}", case.build, views=case.views)
        for ta in (False, True)
        for tb in (False, True)
        for case in over("matmul", _PRODUCTS, partial(_matmul, transpose_a=ta, transpose_b=tb))
    ),
    Case("matmul", "(33, 40, 35) NaN and infinities", _matmul_special),
    *over("linear", _LAYERS, partial(_linear, activation="identity", bias=True)),
    *(
        Case(
            "linear",
            f"{shape} {f}{'' if bias else ' no bias'}",
            late(_linear, *shape, activation=f, bias=bias),
        )
        for f in FUSED
        for bias in (True, False)
        for shape in ((33, 17, 31), (257, 5, 65))
    ),
    *(Case("linear", f"large values {f}", partial(_linear_large, activation=f)) for f in FUSED),
    *(Case("linear", f"NaN and infinities {f}", partial(_linear_special, activation=f)) for f in FUSED),
    *over(
        "linear_backward",
        _LAYERS,
        partial(_linear_backward, activation="identity", bias=True, wants_dx=True),
    ),
    *(
        Case(
            "linear_backward",
            f"{shape} {f}{'' if bias else ' no db'}{'' if wants_dx else ' no dx'}",
            late(_linear_backward, *shape, activation=f, bias=bias, wants_dx=wants_dx),
        )
        for f in FUSED
        for bias, wants_dx in ((True, True), (False, True), (True, False), (False, False))
        for shape in ((33, 17, 31), (257, 5, 65))
    ),
)
