"""Batch normalisation by the statistics of a batch that lies on several ranks.

Each rank sends the mean of its rows and the sum of their squared distances from it, so that nothing cancels; these
are combined in float64, in the order of the ranks:

    n = sum n_r,  mean = sum n_r mean_r / n,  n var = sum (M2_r + n_r (mean_r - mean)^2)

Backward, a rank needs of the others the sums of dy and of dy h over all rows, h being the normalised x:

    dx = gamma rstd (dy - sum(dy) / n - h sum(dy h) / n)

Source: Chan, Golub & LeVeque 1983 (combining); Ioffe & Szegedy 2015 (batch normalisation).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nnx.distributed.reduction import ordered_sum
from nnx.interface import Array
from nnx.ops import Ops

if TYPE_CHECKING:
    from nnx.distributed.shares import RankShare

Pair = tuple[Array, Array]
Doubles = NDArray[np.float64]


def batch_norm(
    share: RankShare, ops: Ops, x: Array, scale: Pair, running: Pair, momentum: float, eps: float
) -> tuple[Array, Array, Array]:
    """Return (y, mean, rstd), and move the running statistics; see `nnx.layers.Share`."""
    gamma, beta = scale
    mean, var, rstd = ops.like(gamma), ops.like(gamma), ops.like(gamma)

    def find_statistics(rows: Array, mean: Array, var: Array, rstd: Array, *running: Array) -> None:
        counts = share.counts(rows.shape[0])
        found = _combined(counts, share.group.stack(_own_statistics(share, ops, rows)))
        _write(ops, (mean, var, rstd), (*found, 1 / np.sqrt(found[1] + eps)))
        _move(ops, running, found, momentum, counts.sum())

    ops.call(find_statistics, ops.rows(x), mean, var, rstd, *running)
    return ops.batch_norm_infer(x, gamma, beta, mean, var, eps), mean, rstd


def _own_statistics(share: RankShare, ops: Ops, rows: Array) -> Doubles:
    """Return mean and sum of squared distances of this rank's rows, (2, C)."""
    if share.rows == 0:
        return np.zeros((2, rows.shape[1]))
    xp = ops.backend.xp
    mean = xp.mean(rows, axis=0)  # (N, C) -> (C,)
    distances = xp.sum((rows - mean) ** 2, axis=0)
    return np.stack([ops.backend.to_numpy(found).astype(np.float64) for found in (mean, distances)])


def _combined(counts: Doubles, found: Doubles) -> tuple[Doubles, Doubles]:
    """Return mean and biased variance of the rows of all ranks, of (R,) counts and (R, 2, C) statistics."""
    means, distances, weights = found[:, 0], found[:, 1], counts[:, None]
    mean = ordered_sum(weights * means) / counts.sum()
    var = ordered_sum(distances + weights * (means - mean) ** 2) / counts.sum()
    return mean, var


def _move(
    ops: Ops, running: tuple[Array, ...], found: tuple[Doubles, Doubles], momentum: float, count: float
) -> None:
    """Move the running statistics as the kernel `batch_norm` does: one row says nothing of the spread."""
    news = [found[0]] if count == 1 else [found[0], found[1] * (count / (count - 1))]
    for held, new in zip(running, news, strict=False):
        held[...] = (1 - momentum) * held + momentum * _device(ops, new)


def _write(ops: Ops, arrays: tuple[Array, ...], values: tuple[Doubles, ...]) -> None:
    for array, value in zip(arrays, values, strict=True):
        array[...] = _device(ops, value)


def _device(ops: Ops, values: Doubles) -> Array:
    return ops.asarray(values)


def batch_norm_backward(
    share: RankShare, ops: Ops, x: Array, gamma: Array, statistics: Pair, dy: Array, into: Pair, wants_dx: bool
) -> Array | None:
    """Write this rank's part of the gradients of gamma and beta; return dx if it is wanted."""
    mean, rstd = statistics
    ops.batch_norm_backward(x, gamma, mean, rstd, dy, into, False)
    if not wants_dx:
        return None
    dx = ops.like(x)

    def find_dx(x: Array, gamma: Array, mean: Array, rstd: Array, dy: Array, *arrays: Array) -> None:
        *sums, dx = arrays
        own = np.stack([ops.backend.to_numpy(part).astype(np.float64) for part in sums])
        whole = ordered_sum(share.group.stack(own if share.rows else np.zeros_like(own)))
        dg, db = (_device(ops, part / share.counts(x.shape[0]).sum()) for part in whole)
        h = (x - mean) * rstd
        dx[...] = gamma * rstd * (dy - db - h * dg)

    ops.call(find_dx, ops.rows(x), gamma, mean, rstd, ops.rows(dy), *into, ops.rows(dx))
    return dx
