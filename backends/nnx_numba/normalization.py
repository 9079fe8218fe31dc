"""Batch and layer normalisation."""

from __future__ import annotations

import math

from nnx.interface import Array, Backend
from nnx_numba.columns import (
    HEIGHT,
    PANEL,
    WIDTH,
    add_products,
    clear,
    column_statistics,
    finite_or_zero,
    panels,
)
from nnx_numba.columns import Real, one, zero
from nnx_numba.hostarrays import plain, row_grain
from nnx_numba.instructions import accumulate, stack
from nnx_numba.jit import device
from nnx_numba.kernel import kernel


@device
def scale_columns(x: Array, y: Array, begin: int, mean: Array, scale: Array, beta: Array) -> None:
    """y = (x - mean) scale + beta on the columns from `begin` on."""
    for i in range(x.shape[0]):
        source, row = x[i][begin : begin + mean.size], y[i][begin : begin + mean.size]
        for j in range(row.size):
            row[j] = (source[j] - mean[j]) * scale[j] + beta[j]


@device
def move(running: Array, value: float, j: int, momentum: float) -> None:
    """running = (1 - momentum) running + momentum value, for one channel."""
    running[j] = (1 - momentum) * running[j] + momentum * value


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
    rest, spread = stack(0.0, WIDTH), stack(0.0, WIDTH)
    scale, offset = stack(mean.dtype.type(0), WIDTH), stack(mean.dtype.type(0), WIDTH)
    rows, stop = x.shape[0], min(last * PANEL, x.shape[1])
    for begin in range(first * PANEL, stop, WIDTH):
        end = min(begin + WIDTH, stop)
        column_statistics(x, begin, mean[begin:end], rest, spread)
        for j in range(begin, end):
            variance = spread[j - begin] / rows
            move(running_mean, mean[j] + rest[j - begin], j, momentum)
            if rows > 1:
                move(running_var, variance * (rows / (rows - 1)), j, momentum)
            rstd[j] = 1 / math.sqrt(variance + eps)
            scale[j - begin] = gamma[j] * rstd[j]
            offset[j - begin] = beta[j] - rest[j - begin] * scale[j - begin]
        scale_columns(x, y, begin, mean[begin:end], scale, offset)


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
    scale = stack(gamma.dtype.type(0), WIDTH)
    stop = min(last * PANEL, x.shape[1])
    for begin in range(first * PANEL, stop, WIDTH):
        end = min(begin + WIDTH, stop)
        for j in range(begin, end):
            scale[j - begin] = gamma[j] / math.sqrt(running_var[j] + eps)
        scale_columns(x, y, begin, running_mean[begin:end], scale, beta[begin:end])


@device
def sum_products(x: Array, dy: Array, begin: int, mean: Array, sums: Array, products: Array) -> None:
    """Sums over all rows of dy and of dy (x - mean), by blocks that are added up in float64."""
    s, q = stack(mean.dtype.type(0), WIDTH), stack(mean.dtype.type(0), WIDTH)
    clear(sums, mean.size)
    clear(products, mean.size)
    for start in range(0, x.shape[0], HEIGHT):
        add_products(x, dy, (start, min(start + HEIGHT, x.shape[0])), begin, mean, s, q)
        for j in range(mean.size):
            sums[j] += s[j]
            products[j] += q[j]


@device
def batch_norm_slopes(
    x: Array, dy: Array, dx: Array, begin: int, mean: Array, scale: Array, s: Array, q: Array
) -> None:
    """dx = scale (dy - s - (x - mean) q) on the columns from `begin` on."""
    for i in range(x.shape[0]):
        source, slope = x[i][begin : begin + mean.size], dy[i][begin : begin + mean.size]
        row = dx[i][begin : begin + mean.size]
        for j in range(row.size):
            row[j] = scale[j] * (slope[j] - s[j] - (source[j] - mean[j]) * q[j])


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
    sums, products = stack(0.0, WIDTH), stack(0.0, WIDTH)
    scale, s, q = (
        stack(gamma.dtype.type(0), WIDTH),
        stack(gamma.dtype.type(0), WIDTH),
        stack(gamma.dtype.type(0), WIDTH),
    )
    rows, stop = x.shape[0], min(last * PANEL, x.shape[1])
    for begin in range(first * PANEL, stop, WIDTH):
        end = min(begin + WIDTH, stop)
        sum_products(x, dy, begin, mean[begin:end], sums, products)
        for j in range(begin, end):
            slope = products[j - begin] * rstd[j]
            dbeta[j], dgamma[j] = sums[j - begin], slope
            if dx is not None:
                scale[j - begin] = gamma[j] * rstd[j]
                s[j - begin], q[j - begin] = sums[j - begin] / rows, slope * rstd[j] / rows
        if dx is not None:
            batch_norm_slopes(x, dy, dx, begin, mean[begin:end], scale, s, q)


@kernel
def layer_norm(
    first: int, last: int, x: Array, gamma: Array, beta: Array, y: Array, mean: Array, rstd: Array, eps: float
) -> None:
    """Three passes over a row in cache, relative to its first element; units are rows."""
    for i in range(first, last):
        source, row = x[i], y[i]
        count = mean.dtype.type(row.size)
        shift = finite_or_zero(source[0])
        total, spread = zero(shift), zero(shift)
        for j in range(row.size):
            total = accumulate(total, source[j] - shift)
        centre = shift + total / count
        for j in range(row.size):
            spread = accumulate(spread, (source[j] - centre) * (source[j] - centre))
        scale = one(shift) / math.sqrt(spread / count + mean.dtype.type(eps))
        mean[i], rstd[i] = centre, scale
        for j in range(row.size):
            row[j] = gamma[j] * ((source[j] - centre) * scale) + beta[j]


@device
def layer_norm_slopes(source: Array, slope: Array, row: Array, gamma: Array, mean: Real, rstd: Real) -> None:
    """One row of dx."""
    total, product = zero(mean), zero(mean)
    for j in range(row.size):
        q = slope[j] * gamma[j]
        total, product = accumulate(total, q), accumulate(product, q * (source[j] - mean))
    share = one(mean) / row.dtype.type(row.size)
    total, product = total * share, product * share * rstd * rstd
    for j in range(row.size):
        row[j] = rstd * (slope[j] * gamma[j] - total - (source[j] - mean) * product)


@kernel
def layer_norm_backward(
    first: int, last: int, x: Array, gamma: Array, mean: Array, rstd: Array, dy: Array, dx: Array
) -> None:
    """Write dx; units are rows."""
    for i in range(first, last):
        layer_norm_slopes(x[i], dy[i], dx[i], gamma, mean[i], rstd[i])


@kernel
def layer_norm_parameters(
    first: int, last: int, x: Array, mean: Array, rstd: Array, dy: Array, dgamma: Array, dbeta: Array
) -> None:
    """Write dgamma and dbeta; units are panels of columns."""
    sums, products = stack(0.0, WIDTH), stack(0.0, WIDTH)
    s, q = stack(mean.dtype.type(0), WIDTH), stack(mean.dtype.type(0), WIDTH)
    stop = min(last * PANEL, x.shape[1])
    for begin in range(first * PANEL, stop, WIDTH):
        width = min(begin + WIDTH, stop) - begin
        clear(sums, width)
        clear(products, width)
        for start in range(0, x.shape[0], HEIGHT):
            clear(s, width)
            clear(q, width)
            for i in range(start, min(start + HEIGHT, x.shape[0])):
                source, slope = x[i][begin : begin + width], dy[i][begin : begin + width]
                centre, scale = mean[i], rstd[i]
                for j in range(width):
                    s[j] += slope[j]
                    q[j] += slope[j] * ((source[j] - centre) * scale)
            for j in range(width):
                sums[j] += s[j]
                products[j] += q[j]
        for j in range(width):
            dbeta[begin + j], dgamma[begin + j] = sums[j], products[j]


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
