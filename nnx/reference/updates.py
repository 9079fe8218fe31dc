"""Reference for `nnx.interface.updates`."""

from __future__ import annotations

from typing import Any

Array = Any


def l2_penalty(xp: Any, w: Array, dw: Array, loss: Array, scale: float) -> None:
    """loss += scale / 2 sum w^2; dw += scale w."""
    loss[...] = loss + 0.5 * scale * xp.sum(w * w)
    dw[...] = dw + scale * w


def clip_by_global_norm(xp: Any, g: Array, norm: Array, limit: float) -> None:
    """g = g min(1, limit / norm); the largest element is divided out first so that no square overflows."""
    if g.shape[0] == 0:
        norm[...] = 0
        return
    largest = xp.max(xp.abs(g))
    unit = xp.where(largest > 0, largest, xp.ones_like(largest))
    size = xp.where(xp.isinf(largest), largest, unit * xp.sqrt(xp.sum((g / unit) ** 2)))
    factor = xp.where(size <= limit, xp.ones_like(size), limit / size)  # a NaN norm gives a NaN factor
    norm[...] = size
    g[...] = g * factor


def sgd(xp: Any, p: Array, g: Array, lr: Array) -> None:
    """p -= lr g."""
    p[...] = p - lr * g


def momentum(xp: Any, p: Array, g: Array, v: Array, lr: Array, mu: float) -> None:
    """v = mu v + g; p -= lr v."""
    v[...] = mu * v + g
    p[...] = p - lr * v


def nesterov(xp: Any, p: Array, g: Array, v: Array, lr: Array, mu: float) -> None:
    """v = mu v + g; p -= lr (g + mu v)."""
    v[...] = mu * v + g
    p[...] = p - lr * (g + mu * v)


def rmsprop(xp: Any, p: Array, g: Array, s: Array, lr: Array, rho: float, eps: float) -> None:
    """s = rho s + (1 - rho) g^2; p -= lr g / (sqrt(s) + eps)."""
    s[...] = rho * s + (1 - rho) * g * g
    p[...] = p - lr * g / (xp.sqrt(s) + eps)


def adam(
    xp: Any,
    p: Array,
    g: Array,
    m: Array,
    v: Array,
    step: Array,
    lr: Array,
    beta1: float,
    beta2: float,
    eps: float,
    eps_root: float,
) -> None:
    """One step of Algorithm 1."""
    t = xp.astype(step, xp.float64) + 1
    c1, c2 = xp.astype(1 - beta1**t, p.dtype), xp.astype(1 - beta2**t, p.dtype)  # bias corrections
    m[...] = beta1 * m + (1 - beta1) * g  # first moment
    v[...] = beta2 * v + (1 - beta2) * g * g  # second moment
    p[...] = p - lr * (m / c1) / (xp.sqrt(v / c2 + eps_root) + eps)


def adamw(
    xp: Any,
    p: Array,
    g: Array,
    m: Array,
    v: Array,
    step: Array,
    lr: Array,
    beta1: float,
    beta2: float,
    eps: float,
    eps_root: float,
    weight_decay: float,
    decayed: int,
) -> None:
    """Shrink the weights, then one step of Adam."""
    p[:decayed] = p[:decayed] - lr * weight_decay * p[:decayed]
    adam(xp, p, g, m, v, step, lr, beta1, beta2, eps, eps_root)
