"""Layer normalisation, both ways."""

from __future__ import annotations

import math
from typing import Any

from llvmlite import ir

from nnx.interface import Array
from nnx_numba.columns import Matrix, Panel, finite_or_zero
from nnx_numba.kernel import kernel
from nnx_numba.lanes import Value, scalar, sqrt
from nnx_numba.panels import for_panels
from nnx_numba.sweeps import passes, row_pass
from nnx_numba.vectors import TOTAL

_WIDE = ir.DoubleType()


def _centred(x: Value, gamma: Value, beta: Value, *others: Value) -> Value:  # noqa: ARG001
    """x - mean; others are count, eps, shift and the sum of x - shift, and what was found after that."""
    count, _, shift, total = others[:4]
    return x - (shift + total / count)


def _deviation(x: Value, gamma: Value, beta: Value, *factors: Value) -> Value:  # noqa: ARG001
    return x - factors[-1]


def _squared(*values: Value) -> Value:
    d = _centred(*values)
    return d * d


def _normalised(x: Value, gamma: Value, beta: Value, *others: Value) -> Value:
    count, eps, *_, spread = others
    return gamma * (_centred(x, gamma, beta, *others) * (1.0 / sqrt(spread / count + eps))) + beta


_layer_norm_row = passes((_deviation, TOTAL), (_squared, TOTAL), (_normalised,))
_shift = scalar(finite_or_zero)


@kernel
def layer_norm(
    first: int, last: int, x: Array, gamma: Array, beta: Array, y: Array, mean: Array, rstd: Array, eps: float
) -> None:
    """Three passes over a row in cache, relative to its first element; units are rows."""
    real = mean.dtype.type
    count = real(x.shape[1])
    for i in range(first, last):
        shift = _shift(x[i, 0])
        total, spread = _layer_norm_row(i, (y,), (x, gamma, beta), (count, real(eps), shift))
        mean[i], rstd[i] = shift + total / count, real(1) / math.sqrt(spread / count + real(eps))


def _row_products(x: Value, dy: Value, gamma: Value, *factors: Value) -> tuple[Value, Value]:
    mean, *_ = factors
    return dy * gamma, dy * gamma * (x - mean)


def _row_slope(x: Value, dy: Value, gamma: Value, *factors: Value) -> Value:
    mean, rstd, share, total, product = factors
    return rstd * (dy * gamma - total * share - (x - mean) * (product * share * rstd * rstd))


_layer_norm_slopes = passes((_row_products, TOTAL, TOTAL), (_row_slope,))


@kernel
def layer_norm_backward(
    first: int, last: int, x: Array, gamma: Array, mean: Array, rstd: Array, dy: Array, dx: Array
) -> None:
    """Write dx, in two passes over a row in cache; units are rows."""
    share = x.dtype.type(1 / x.shape[1])
    for i in range(first, last):
        _layer_norm_slopes(i, (dx,), (x, dy, gamma), (mean[i], rstd[i], share))


def _row_parts(x: Value, dy: Value, mean: Value, rstd: Value) -> tuple[Value, Value]:
    return dy, dy * ((x - mean) * rstd)


def _parameters(panel: Panel, x: Matrix, *arguments: Any) -> None:
    mean, rstd, dy, dgamma, dbeta = arguments
    found = [panel.zeros(_WIDE), panel.zeros(_WIDE)]
    with panel.blocks(x.rows) as block:
        panel.over(_row_parts, block, [], [x, dy], [], found, of_rows=[mean, rstd])
    row_pass(panel.builder, lambda *sums: sums, [panel.part(dbeta), panel.part(dgamma)], found, [])


_parameter_columns = for_panels(_parameters)


@kernel
def layer_norm_parameters(
    first: int, last: int, x: Array, mean: Array, rstd: Array, dy: Array, dgamma: Array, dbeta: Array
) -> None:
    """Write dgamma and dbeta; units are panels of columns."""
    _parameter_columns(first, last, (x, mean, rstd, dy, dgamma, dbeta))
