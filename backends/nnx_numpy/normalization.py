"""Batch and layer normalisation, a block of rows at a time so that several passes stay in cache."""

from __future__ import annotations

import numpy as np

from nnx import interface
from nnx.interface import Array
from nnx_numpy.workspace import column_sums, quiet, row_blocks, row_sums, workspace


class Normalization(interface.normalization.Normalization):
    """Kernels that centre and scale; sums over rows or columns are products with ones."""

    @quiet
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
        """Mean, centred moments, scaling; what rounding left of the mean is taken off with them."""
        n, channels = x.shape
        column_sums(x, mean)  # (N, C) -> (C,)
        np.divide(mean, n, out=mean)
        residue, var = _centre(x, mean, y)
        if n > 1:
            _move(running_var, var, momentum * n / (n - 1), momentum)
        _reciprocal_root(var, eps, rstd)
        scale, shift = workspace.like("scale", gamma), workspace.like("shift", beta)
        np.multiply(gamma, rstd, out=scale)
        np.multiply(residue, scale, out=shift)
        np.subtract(beta, shift, out=shift)
        for rows in row_blocks(n, channels):
            part = y[rows]
            np.multiply(part, scale, out=part)
            np.add(part, shift, out=part)
        np.add(mean, residue, out=mean)
        _move(running_mean, mean, momentum, momentum)

    @quiet
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
        """Three passes per block, in the destination."""
        scale = workspace.like("scale", gamma)
        _reciprocal_root(running_var, eps, scale)
        np.multiply(scale, gamma, out=scale)
        for rows in row_blocks(*x.shape):
            part = y[rows]
            np.subtract(x[rows], running_mean, out=part)
            np.multiply(part, scale, out=part)
            np.add(part, beta, out=part)

    @quiet
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
        """The sums first, then dx in the destination."""
        n, channels = x.shape
        column_sums(dy, dbeta)  # (N, C) -> (C,)
        dgamma[...] = 0
        partial = workspace.like("partial", dgamma)
        for rows in row_blocks(n, channels):
            part = x[rows]
            product = workspace.like("product", part)
            np.subtract(part, mean, out=product)
            np.multiply(product, dy[rows], out=product)
            column_sums(product, partial)
            np.add(dgamma, partial, out=dgamma)
        np.multiply(dgamma, rstd, out=dgamma)
        if dx is not None:
            _batch_norm_dx(x, gamma, mean, rstd, dy, dx, dgamma, dbeta)

    @quiet
    def layer_norm(
        self, x: Array, gamma: Array, beta: Array, y: Array, mean: Array, rstd: Array, eps: float
    ) -> None:
        """All passes on one block of rows before the next."""
        for rows in row_blocks(*x.shape):
            _layer_norm(x[rows], gamma, beta, y[rows], mean[rows], rstd[rows], eps)

    @quiet
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
        """All passes on one block of rows before the next; row means as products with gamma."""
        column_sums(dy, dbeta)  # (N, F) -> (F,)
        dgamma[...] = 0
        partial = workspace.like("partial", dgamma)
        for rows in row_blocks(*x.shape):
            part = x[rows]
            h, product = workspace.like("h", part), workspace.like("product", part)
            np.subtract(part, mean[rows, None], out=h)
            np.multiply(h, rstd[rows, None], out=h)
            np.multiply(h, dy[rows], out=product)
            column_sums(product, partial)
            np.add(dgamma, partial, out=dgamma)
            if dx is not None:
                _layer_norm_dx(h, product, dy[rows], gamma, rstd[rows], dx[rows])


def _batch_norm_dx(
    x: Array, gamma: Array, mean: Array, rstd: Array, dy: Array, dx: Array, dgamma: Array, dbeta: Array
) -> None:
    """dx = gamma rstd (dy - dbeta / N - (x - mean) (rstd dgamma / N))."""
    n, channels = x.shape
    slope, offset, scale = (workspace.like(slot, gamma) for slot in ("slope", "offset", "scale"))
    np.multiply(dgamma, rstd, out=slope)
    np.divide(slope, n, out=slope)
    np.divide(dbeta, n, out=offset)
    np.multiply(gamma, rstd, out=scale)
    for rows in row_blocks(n, channels):
        part = dx[rows]
        product = workspace.like("product", part)
        np.subtract(x[rows], mean, out=product)
        np.multiply(product, slope, out=product)
        np.subtract(dy[rows], offset, out=part)
        np.subtract(part, product, out=part)
        np.multiply(part, scale, out=part)


def _centre(x: Array, mean: Array, y: Array) -> tuple[Array, Array]:
    """y = x - mean; return the mean of y, which is what rounding left, and its variance."""
    n, channels = x.shape
    residue, var = workspace.like("residue", mean), workspace.like("var", mean)
    partial, square = workspace.like("partial", mean), workspace.like("residue_square", mean)
    residue[...] = var[...] = 0
    for rows in row_blocks(n, channels):
        part = y[rows]
        product = workspace.like("product", part)
        np.subtract(x[rows], mean, out=part)
        column_sums(part, partial)  # (n, C) -> (C,)
        np.add(residue, partial, out=residue)
        np.multiply(part, part, out=product)
        column_sums(product, partial)
        np.add(var, partial, out=var)
    np.divide(residue, n, out=residue)
    np.divide(var, n, out=var)
    np.multiply(residue, residue, out=square)
    np.subtract(var, square, out=var)
    np.maximum(var, 0, out=var)
    return residue, var


def _move(running: Array, value: Array, share: float, momentum: float) -> None:
    """running = (1 - momentum) running + share value."""
    step = workspace.like("step", value)
    np.multiply(value, share, out=step)
    np.multiply(running, 1 - momentum, out=running)
    np.add(running, step, out=running)


def _reciprocal_root(var: Array, eps: float, rstd: Array) -> None:
    """rstd = 1 / sqrt(var + eps)."""
    np.add(var, eps, out=rstd)
    np.sqrt(rstd, out=rstd)
    np.divide(1, rstd, out=rstd)


def _layer_norm(x: Array, gamma: Array, beta: Array, y: Array, mean: Array, rstd: Array, eps: float) -> None:
    features = x.shape[1]
    row_sums(x, mean)  # (n, F) -> (n,)
    np.divide(mean, features, out=mean)
    np.subtract(x, mean[:, None], out=y)
    row_sums(y, rstd)
    np.divide(rstd, features, out=rstd)
    np.subtract(y, rstd[:, None], out=y)  # what rounding left of the mean
    np.add(mean, rstd, out=mean)
    np.vecdot(y, y, out=rstd)
    np.divide(rstd, features, out=rstd)
    _reciprocal_root(rstd, eps, rstd)
    np.multiply(y, rstd[:, None], out=y)
    np.multiply(y, gamma, out=y)
    np.add(y, beta, out=y)


def _layer_norm_dx(h: Array, product: Array, dy: Array, gamma: Array, rstd: Array, dx: Array) -> None:
    """dx = rstd (q - mean q - h mean(q h)) with q = dy gamma and product = dy h; overwrites h."""
    features = gamma.shape[0]
    row_mean, row_slope = workspace.like("row_mean", rstd), workspace.like("row_slope", rstd)
    np.dot(dy, gamma, out=row_mean)  # (n, F) @ (F,) -> (n,)
    np.divide(row_mean, features, out=row_mean)
    np.dot(product, gamma, out=row_slope)
    np.divide(row_slope, features, out=row_slope)
    np.multiply(h, row_slope[:, None], out=h)
    np.multiply(dy, gamma, out=dx)
    np.subtract(dx, h, out=dx)
    np.subtract(dx, row_mean[:, None], out=dx)
    np.multiply(dx, rstd[:, None], out=dx)
