"""Batch normalisation, both ways."""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from nnx.interface import Array
from nnx_numba.columns import Matrix, Panel, column_statistics
from nnx_numba.kernel import kernel
from nnx_numba.lanes import Value, sqrt, where
from nnx_numba.panels import for_panels
from nnx_numba.sweeps import row_pass

_WIDE = ir.DoubleType()


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
