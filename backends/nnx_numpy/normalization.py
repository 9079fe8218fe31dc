"""Batch and layer normalisation, a block of rows at a time so that several passes stay in cache."""

from __future__ import annotations

import numpy as np

from nnx import interface
from nnx.interface import Array
from nnx_numpy.blocks import add_column_sums, broadcast, column_sums, row_sums
from nnx_numpy.plan import Plan, kernel
from nnx_numpy.workspace import row_blocks


class Normalization(interface.normalization.Normalization):
    """Kernels that centre and scale; sums over rows or columns are products with ones."""

    @kernel
    def batch_norm(
        self,
        plan: Plan,
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
        """Mean, centred moments, scaling; what rounding left of the mean is taken off with them."""
        n, channels = x.shape
        column_sums(plan, x, mean, 1 / n)  # (N, C) -> (C,)
        residue, var = _centre(plan, x, mean, y)
        if n > 1:
            _move(plan, running_var, var, momentum * n / (n - 1), momentum)
        _reciprocal_root(plan, var, eps, rstd)
        scale, shift = plan.like("scale", gamma), plan.like("shift", beta)
        plan(np.multiply, gamma, rstd, scale)
        plan(np.multiply, residue, scale, shift)
        plan(np.subtract, beta, shift, shift)
        for rows in row_blocks(n, channels):
            part = y[rows]
            broadcast(plan, np.multiply, part, scale, part)
            broadcast(plan, np.add, part, shift, part)
        plan(np.add, mean, residue, mean)
        _move(plan, running_mean, mean, momentum, momentum)

    @kernel
    def batch_norm_infer(
        self,
        plan: Plan,
        x: Array,
        gamma: Array,
        beta: Array,
        running_mean: Array,
        running_var: Array,
        y: Array,
        eps: float,
    ) -> None:
        """Three passes per block, in the destination."""
        scale = plan.like("scale", gamma)
        _reciprocal_root(plan, running_var, eps, scale)
        plan(np.multiply, scale, gamma, scale)
        for rows in row_blocks(*x.shape):
            part = y[rows]
            broadcast(plan, np.subtract, x[rows], running_mean, part)
            broadcast(plan, np.multiply, part, scale, part)
            broadcast(plan, np.add, part, beta, part)

    @kernel
    def batch_norm_backward(
        self,
        plan: Plan,
        x: Array,
        gamma: Array,
        mean: Array,
        rstd: Array,
        dy: Array,
        dx: Array | None,
        dgamma: Array,
        dbeta: Array,
    ) -> None:
        """The sums first, then dx in the destination."""
        n, channels = x.shape
        for rows in row_blocks(n, channels):
            part = dy[rows]
            centred, product = plan.like("centred", part), plan.like("product", part)
            add_column_sums(plan, part, dbeta, rows.start == 0)  # (n, C) -> (C,)
            broadcast(plan, np.subtract, x[rows], mean, centred)
            plan(np.multiply, centred, part, product)
            add_column_sums(plan, product, dgamma, rows.start == 0)
        plan(np.multiply, dgamma, rstd, dgamma)
        if dx is not None:
            _batch_norm_dx(plan, x, gamma, mean, rstd, dy, dx, dgamma, dbeta)

    @kernel
    def layer_norm(
        self, plan: Plan, x: Array, gamma: Array, beta: Array, y: Array, mean: Array, rstd: Array, eps: float
    ) -> None:
        """All passes on one block of rows before the next."""
        for rows in row_blocks(*x.shape):
            _layer_norm(plan, x[rows], gamma, beta, y[rows], mean[rows], rstd[rows], eps)

    @kernel
    def layer_norm_backward(
        self,
        plan: Plan,
        x: Array,
        gamma: Array,
        mean: Array,
        rstd: Array,
        dy: Array,
        dx: Array | None,
        dgamma: Array,
        dbeta: Array,
    ) -> None:
        """All passes on one block of rows before the next; row means as products with gamma."""
        for rows in row_blocks(*x.shape):
            part = x[rows]
            add_column_sums(plan, dy[rows], dbeta, rows.start == 0)  # (n, F) -> (F,)
            h, product = plan.like("h", part), plan.like("product", part)
            broadcast(plan, np.subtract, part, mean[rows, None], h)
            broadcast(plan, np.multiply, h, rstd[rows, None], h)
            plan(np.multiply, h, dy[rows], product)
            add_column_sums(plan, product, dgamma, rows.start == 0)
            if dx is not None:
                _layer_norm_dx(plan, h, product, dy[rows], gamma, rstd[rows], dx[rows])


def _batch_norm_dx(
    plan: Plan, x: Array, gamma: Array, mean: Array, rstd: Array, dy: Array, dx: Array, dgamma: Array, dbeta: Array
) -> None:
    """dx = gamma rstd (dy - dbeta / N - (x - mean) (rstd dgamma / N))."""
    n, channels = x.shape
    slope, offset, scale = (plan.like(slot, gamma) for slot in ("slope", "offset", "scale"))
    plan(np.multiply, dgamma, rstd, slope)
    plan(np.divide, slope, n, slope)
    plan(np.divide, dbeta, n, offset)
    plan(np.multiply, gamma, rstd, scale)
    for rows in row_blocks(n, channels):
        part = dx[rows]
        centred = plan.like("centred", part)
        if part.shape[0] < n:  # a single block has stayed centred
            broadcast(plan, np.subtract, x[rows], mean, centred)
        broadcast(plan, np.multiply, centred, slope, centred)
        broadcast(plan, np.subtract, dy[rows], offset, part)
        plan(np.subtract, part, centred, part)
        broadcast(plan, np.multiply, part, scale, part)


def _centre(plan: Plan, x: Array, mean: Array, y: Array) -> tuple[Array, Array]:
    """y = x - mean; return the mean of y, which is what rounding left, and its variance."""
    n, channels = x.shape
    residue, var = plan.like("residue", mean), plan.like("var", mean)
    for rows in row_blocks(n, channels):
        part = y[rows]
        product = plan.like("product", part)
        broadcast(plan, np.subtract, x[rows], mean, part)
        add_column_sums(plan, part, residue, rows.start == 0, 1 / n)  # (n, C) -> (C,)
        plan(np.multiply, part, part, product)
        add_column_sums(plan, product, var, rows.start == 0, 1 / n)
    square = plan.like("residue_square", mean)
    plan(np.multiply, residue, residue, square)
    plan(np.subtract, var, square, var)
    plan(np.abs, var, var)  # rounding may have left a constant channel slightly below 0
    return residue, var


def _move(plan: Plan, running: Array, value: Array, share: float, momentum: float) -> None:
    """running = (1 - momentum) running + share value."""
    step = plan.like("step", value)
    plan(np.multiply, value, share, step)
    plan(np.multiply, running, 1 - momentum, running)
    plan(np.add, running, step, running)


def _reciprocal_root(plan: Plan, var: Array, eps: float, rstd: Array) -> None:
    """rstd = 1 / sqrt(var + eps)."""
    plan(np.add, var, eps, rstd)
    plan(np.sqrt, rstd, rstd)
    plan(np.divide, 1, rstd, rstd)


def _layer_norm(
    plan: Plan, x: Array, gamma: Array, beta: Array, y: Array, mean: Array, rstd: Array, eps: float
) -> None:
    features = x.shape[1]
    row_sums(plan, x, mean, 1 / features)  # (n, F) -> (n,)
    broadcast(plan, np.subtract, x, mean[:, None], y)
    row_sums(plan, y, rstd, 1 / features)
    broadcast(plan, np.subtract, y, rstd[:, None], y)  # what rounding left of the mean
    plan(np.add, mean, rstd, mean)
    plan(np.vecdot, y, y, rstd)
    plan(np.divide, rstd, features, rstd)
    _reciprocal_root(plan, rstd, eps, rstd)
    broadcast(plan, np.multiply, y, rstd[:, None], y)
    broadcast(plan, np.multiply, y, gamma, y)
    broadcast(plan, np.add, y, beta, y)


def _layer_norm_dx(plan: Plan, h: Array, product: Array, dy: Array, gamma: Array, rstd: Array, dx: Array) -> None:
    """dx = rstd (q - mean q - h mean(q h)) with q = dy gamma and product = dy h; overwrites h."""
    features = gamma.shape[0]
    row_mean, row_slope = plan.like("row_mean", rstd), plan.like("row_slope", rstd)
    plan(dy.dot, gamma, row_mean)  # (n, F) @ (F,) -> (n,)
    plan(np.divide, row_mean, features, row_mean)
    plan(product.dot, gamma, row_slope)
    plan(np.divide, row_slope, features, row_slope)
    broadcast(plan, np.multiply, h, row_slope[:, None], h)
    broadcast(plan, np.multiply, dy, gamma, dx)
    plan(np.subtract, dx, h, dx)
    broadcast(plan, np.subtract, dx, row_mean[:, None], dx)
    broadcast(plan, np.multiply, dx, rstd[:, None], dx)
