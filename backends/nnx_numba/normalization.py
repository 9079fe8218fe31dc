"""Batch and layer normalisation."""

from __future__ import annotations

import math
from typing import Any

from llvmlite import ir

from nnx.interface import Array, Backend
from nnx_numba.columns import (
    PANEL,
    WIDTH,
    Matrix,
    Panel,
    column_statistics,
    finite_or_zero,
    matrix_of,
    panels,
    smaller,
)
from nnx_numba.hostarrays import plain, row_grain
from nnx_numba.internals import types
from nnx_numba.jit import intrinsic
from nnx_numba.kernel import kernel
from nnx_numba.lanes import WORD, Value, scalar, sqrt, where
from nnx_numba.sweeps import TOTAL, loop, passes, row_of, row_pass

_WIDE = ir.DoubleType()
def _unpacked(context: Any, builder: Any, signature: Any, arguments: Any) -> list[Any]:
    """Return matrices, rows and numbers for the arguments of an intrinsic; None for None."""
    found: list[Any] = []
    for kind, value in zip(signature.args, arguments, strict=True):
        if kind == types.none:
            found.append(None)
        elif isinstance(kind, types.Array):
            found.append((matrix_of if kind.ndim == 2 else row_of)(context, builder, kind, value))
        else:
            found.append(value)
    return found


def for_panels(emit: Any) -> Any:
    """Make a function of panels first..last-1 and arrays: `emit(panel, *arguments)` for at most WIDTH columns.

    The first of the arrays is a matrix with these columns.
    """

    @intrinsic
    def run(_context: Any, first: Any, last: Any, given: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            kinds = signature.args[2]
            parts = [builder.extract_value(arguments[2], n) for n in range(len(kinds))]
            found = _unpacked(context, builder, types.void(*kinds), parts)
            x = found[0]
            begin, stop = (builder.mul(n, WORD(PANEL)) for n in arguments[:2])
            stop = smaller(builder, stop, x.columns)
            with loop(builder, begin, stop, WIDTH) as j:
                emit(Panel(builder, x.element, j, smaller(builder, WORD(WIDTH), builder.sub(stop, j))), *found)
            return context.get_dummy_value()

        return types.none(first, last, given), generate

    return run


def _finish(base: Value, *others: Value) -> tuple[Value, ...]:
    """Statistics of whole columns, and y = (x - mean) scale + offset with what rounding took from the mean."""
    sums, spread, gamma, beta, running_mean, running_var, rows, momentum, eps = others
    exact = base.widened() + sums / rows
    mean = exact.like(base)
    lost = sums / rows - (mean.widened() - base.widened())
    variance = spread / rows
    rstd = (1.0 / sqrt(variance + eps)).like(base)
    scale = gamma * rstd
    offset = beta.widened() - lost * scale.widened()
    kept = 1.0 - momentum
    moved_mean = kept * running_mean.widened() + momentum * (mean.widened() + lost)
    unbiased = variance * (rows / (rows - 1.0))
    moved_var = kept * running_var.widened() + momentum * unbiased
    return (
        *(mean, rstd, scale, offset, moved_mean),
        where(rows > 1.0, moved_var, running_var.widened()),  # a single row has no such variance
    )


def _scaled(x: Value, mean: Value, scale: Value, offset: Value) -> Value:
    return (x - mean) * scale + offset


def _batch_norm(panel: Panel, x: Matrix, *arguments: Any) -> None:
    gamma, beta, running_mean, running_var, y, mean, rstd, momentum, eps = arguments
    builder, part = panel.builder, panel.part
    found = column_statistics(panel, x)
    scale, offset = panel.buffer(x.element), panel.buffer(x.element)
    kept = [part(row) for row in (mean, rstd)]
    running = [part(row) for row in (running_mean, running_var)]
    row_pass(
        *(builder, _finish, [*kept, scale, offset, *running]),
        [found.base, found.sums, found.spread, part(gamma), part(beta), *running],
        [builder.sitofp(x.rows, _WIDE), momentum, eps],
    )
    with panel.blocks_backwards(x.rows) as block:
        panel.over(_scaled, block, [y], [x], [kept[0], scale, offset])


_norm_columns = for_panels(_batch_norm)


@kernel
def batch_norm(
    first: int,
    last: int,
    x: Array,
    gamma: Array,
    beta: Array,
    running_mean: Array,
    running_var: Array,
    y: Array,
    mean: Array,
    rstd: Array,
    momentum: float,
    eps: float,
) -> None:
    """Statistics in one pass, y in another; units are panels of columns."""
    _norm_columns(first, last, (x, gamma, beta, running_mean, running_var, y, mean, rstd, momentum, eps))


def _infer(panel: Panel, x: Matrix, *arguments: Any) -> None:
    gamma, beta, running_mean, running_var, y, eps = arguments
    scale, mean = panel.buffer(x.element), panel.part(running_mean)

    def scale_of(gamma: Value, variance: Value, eps: Value) -> Value:
        return gamma.widened() / sqrt(variance.widened() + eps)

    row_pass(panel.builder, scale_of, [scale], [panel.part(gamma), panel.part(running_var)], [eps])
    with panel.blocks_backwards(x.rows) as block:
        panel.over(_scaled, block, [y], [x], [mean, scale, panel.part(beta)])


_infer_columns = for_panels(_infer)


@kernel
def batch_norm_infer(
    first: int,
    last: int,
    x: Array,
    gamma: Array,
    beta: Array,
    running_mean: Array,
    running_var: Array,
    y: Array,
    eps: float,
) -> None:
    """Units are panels of columns."""
    _infer_columns(first, last, (x, gamma, beta, running_mean, running_var, y, eps))


def _products(x: Value, dy: Value, mean: Value) -> tuple[Value, Value]:
    return dy, dy * (x - mean)


def _slope(x: Value, dy: Value, *columns: Value) -> Value:
    mean, scale, s, q = columns
    return scale * (dy - s - (x - mean) * q)


def _share(sums: Value, products: Value, gamma: Value, rstd: Value, rows: Value) -> tuple[Value, ...]:
    """dbeta and dgamma, and what dx is made of."""
    slope = products * rstd.widened()
    return sums, slope, gamma * rstd, sums / rows, slope * rstd.widened() / rows


def _batch_norm_backward(panel: Panel, x: Matrix, *arguments: Any) -> None:
    gamma, mean, rstd, dy, dx, dgamma, dbeta = arguments
    builder, part = panel.builder, panel.part
    sums, products = panel.zeros(_WIDE), panel.zeros(_WIDE)
    with panel.blocks(x.rows) as block:
        panel.over(_products, block, [], [x, dy], [part(mean)], [sums, products])
    scale, s, q = (panel.buffer(x.element) for _ in range(3))
    row_pass(
        *(builder, _share, [part(dbeta), part(dgamma), scale, s, q]),
        *([sums, products, part(gamma), part(rstd)], [builder.sitofp(x.rows, _WIDE)]),
    )
    if dx is not None:
        with panel.blocks_backwards(x.rows) as block:
            panel.over(_slope, block, [dx], [x, dy], [part(mean), scale, s, q])


_backward_columns = for_panels(_batch_norm_backward)


@kernel
def batch_norm_backward(
    first: int,
    last: int,
    x: Array,
    gamma: Array,
    mean: Array,
    rstd: Array,
    dy: Array,
    dx: Array | None,
    dgamma: Array,
    dbeta: Array,
) -> None:
    """The sums in one pass, dx in another; units are panels of columns."""
    _backward_columns(first, last, (x, gamma, mean, rstd, dy, dx, dgamma, dbeta))


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


class Normalization(Backend):
    """Batch and layer normalisation."""

    def batch_norm(
        self,
        x: Array,
        gamma: Array,
        beta: Array,
        running_mean: Array,
        running_var: Array,
        y: Array,
        mean: Array,
        rstd: Array,
        momentum: float,
        eps: float,
    ) -> None:
        """Two passes over memory."""
        batch_norm(
            *(*panels(*x.shape), plain(x), plain(gamma), plain(beta), running_mean, running_var),
            *(y, mean, rstd, float(momentum), float(eps)),
        )

    def batch_norm_infer(
        self,
        x: Array,
        gamma: Array,
        beta: Array,
        running_mean: Array,
        running_var: Array,
        y: Array,
        eps: float,
    ) -> None:
        """One pass over memory."""
        statistics = plain(running_mean), plain(running_var)
        batch_norm_infer(*panels(*x.shape), plain(x), plain(gamma), plain(beta), *statistics, y, float(eps))

    def batch_norm_backward(
        self,
        x: Array,
        gamma: Array,
        mean: Array,
        rstd: Array,
        dy: Array,
        dx: Array | None,
        dgamma: Array,
        dbeta: Array,
    ) -> None:
        """Two passes over memory."""
        inputs = plain(x), plain(gamma), plain(mean), plain(rstd), plain(dy)
        batch_norm_backward(*panels(*x.shape), *inputs, dx, dgamma, dbeta)

    def layer_norm(
        self, x: Array, gamma: Array, beta: Array, y: Array, mean: Array, rstd: Array, eps: float
    ) -> None:
        """Row by row."""
        rows, columns = x.shape
        inputs = plain(x), plain(gamma), plain(beta)
        layer_norm(rows, row_grain(columns), *inputs, y, mean, rstd, float(eps))

    def layer_norm_backward(
        self,
        x: Array,
        gamma: Array,
        mean: Array,
        rstd: Array,
        dy: Array,
        dx: Array | None,
        dgamma: Array,
        dbeta: Array,
    ) -> None:
        """dx by rows, then dgamma and dbeta by columns."""
        x, dy, mean, rstd = plain(x), plain(dy), plain(mean), plain(rstd)
        if dx is not None:
            layer_norm_backward(x.shape[0], row_grain(x.shape[1]), x, plain(gamma), mean, rstd, dy, dx)
        layer_norm_parameters(*panels(*x.shape), x, mean, rstd, dy, dgamma, dbeta)
