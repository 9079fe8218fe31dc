"""Reference for `nnx.interface.normalization`."""

from __future__ import annotations

from typing import Any

Array = Any


def batch_norm(
    xp: Any,
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
    """Normalise by the batch's statistics, and move the running ones towards them."""
    n = x.shape[0]
    mu = xp.mean(x, axis=0)  # (N, C) -> (C,)
    var = xp.mean((x - mu) ** 2, axis=0)
    r = 1 / xp.sqrt(var + eps)
    y[...] = gamma * ((x - mu) * r) + beta
    mean[...], rstd[...] = mu, r
    running_mean[...] = (1 - momentum) * running_mean + momentum * mu
    if n > 1:
        running_var[...] = (1 - momentum) * running_var + momentum * (var * (n / (n - 1)))


def batch_norm_infer(
    xp: Any,
    x: Array,
    gamma: Array,
    beta: Array,
    running_mean: Array,
    running_var: Array,
    y: Array,
    eps: float,
) -> None:
    """Normalise by the running statistics."""
    y[...] = gamma * ((x - running_mean) / xp.sqrt(running_var + eps)) + beta


def batch_norm_backward(
    xp: Any,
    x: Array,
    gamma: Array,
    mean: Array,
    rstd: Array,
    dy: Array,
    dx: Array | None,
    dgamma: Array,
    dbeta: Array,
) -> None:
    """Gradients through the batch's mean and variance."""
    n = x.shape[0]
    h = (x - mean) * rstd
    db, dg = xp.sum(dy, axis=0), xp.sum(dy * h, axis=0)  # (N, C) -> (C,)
    if dx is not None:
        dx[...] = gamma * rstd * (dy - db / n - h * (dg / n))
    dbeta[...], dgamma[...] = db, dg


def layer_norm(
    xp: Any, x: Array, gamma: Array, beta: Array, y: Array, mean: Array, rstd: Array, eps: float
) -> None:
    """Normalise each row by its own statistics."""
    mu = xp.mean(x, axis=1, keepdims=True)  # (N, F) -> (N, 1)
    r = 1 / xp.sqrt(xp.mean((x - mu) ** 2, axis=1, keepdims=True) + eps)
    y[...] = gamma * ((x - mu) * r) + beta
    mean[...], rstd[...] = mu[:, 0], r[:, 0]


def layer_norm_backward(
    xp: Any,
    x: Array,
    gamma: Array,
    mean: Array,
    rstd: Array,
    dy: Array,
    dx: Array | None,
    dgamma: Array,
    dbeta: Array,
) -> None:
    """Gradients through each row's mean and variance."""
    h = (x - mean[:, None]) * rstd[:, None]
    if dx is not None:
        q = dy * gamma
        row_mean, row_slope = xp.mean(q, axis=1, keepdims=True), xp.mean(q * h, axis=1, keepdims=True)
        dx[...] = rstd[:, None] * (q - row_mean - h * row_slope)
    dbeta[...], dgamma[...] = xp.sum(dy, axis=0), xp.sum(dy * h, axis=0)  # (N, F) -> (F,)
