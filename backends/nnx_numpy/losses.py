"""Losses with their gradient, a block of rows at a time, the gradient's own memory as plan."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from nnx import interface
from nnx.interface import Array
from nnx_numpy.activations import exponentials, gather, indicate, shift
from nnx_numpy.blocks import broadcast, row_sums
from nnx_numpy.plan import Plan, kernel
from nnx_numpy.workspace import row_blocks


class Losses(interface.losses.Losses):
    """Kernels that end a forward pass and begin a backward pass."""

    @kernel
    def softmax_cross_entropy(
        self,
        plan: Plan,
        logits: Array,
        labels: Array,
        weight: Array | None,
        loss: Array,
        dlogits: Array | None,
        smoothing: float,
    ) -> None:
        """Labels are gathered and scattered; no one-hot matrix is made."""
        _by_rows(plan, _softmax_cross_entropy, logits, labels, weight, loss, dlogits, 1, smoothing)

    @kernel
    def soft_cross_entropy(
        self,
        plan: Plan,
        logits: Array,
        targets: Array,
        weight: Array | None,
        loss: Array,
        dlogits: Array | None,
        smoothing: float,
    ) -> None:
        """Row sums by dot products; the reference sorts out 0 log 0 where one made the loss NaN."""
        _by_rows(plan, _soft_cross_entropy, logits, targets, weight, loss, dlogits, 1, smoothing)
        reference = super().soft_cross_entropy
        plan(_if_nan, loss, reference, logits, targets, weight, loss, dlogits, smoothing)

    @kernel
    def sigmoid_cross_entropy(
        self, plan: Plan, logits: Array, targets: Array, weight: Array | None, loss: Array, dlogits: Array | None
    ) -> None:
        """Loss and gradient share e^-|z|."""
        _by_rows(plan, _sigmoid_cross_entropy, logits, targets, weight, loss, dlogits, logits.shape[1])

    @kernel
    def mean_squared_error(
        self, plan: Plan, outputs: Array, targets: Array, weight: Array | None, loss: Array, doutputs: Array | None
    ) -> None:
        """Row sums by dot products."""
        _by_rows(plan, _mean_squared_error, outputs, targets, weight, loss, doutputs, outputs.shape[1])

    @kernel
    def mean_absolute_error(
        self, plan: Plan, outputs: Array, targets: Array, weight: Array | None, loss: Array, doutputs: Array | None
    ) -> None:
        """Row sums by dot products."""
        _by_rows(plan, _mean_absolute_error, outputs, targets, weight, loss, doutputs, outputs.shape[1])

    @kernel
    def huber(
        self,
        plan: Plan,
        outputs: Array,
        targets: Array,
        weight: Array | None,
        loss: Array,
        doutputs: Array | None,
        delta: float,
    ) -> None:
        """With the slope s = clip(e, -delta, delta), both branches of the loss are s (e - s / 2)."""
        _by_rows(plan, _huber, outputs, targets, weight, loss, doutputs, outputs.shape[1], delta)


def _by_rows(
    plan: Plan,
    part: Callable[..., None],
    outputs: Array,
    targets: Array,
    weight: Array | None,
    loss: Array,
    gradient: Array | None,
    terms: int,
    *attributes: float,
) -> None:
    """Plan part(plan, outputs, targets, losses, slopes, share, *attributes) on blocks of rows; weigh and sum up.

    It leaves its rows' losses in losses (n,), and the slopes before weighing, times share, in slopes (n, O).
    """
    n, columns = outputs.shape
    share = 1 / (n * terms)
    losses = plan.take("losses", (n,), outputs.dtype)
    for rows in row_blocks(n, columns):
        block = outputs[rows]
        slopes = plan.like("slopes", block) if gradient is None else gradient[rows]
        part(plan, block, targets[rows], losses[rows], slopes, share, *attributes)
        if gradient is not None and weight is not None:
            broadcast(plan, np.multiply, slopes, weight[rows, None], slopes)
    _weighted_sum(plan, losses, weight, share, loss)


def _weighted_sum(plan: Plan, losses: Array, weight: Array | None, share: float, loss: Array) -> None:
    """Loss = share sum_i weight_i losses_i."""
    shares = plan.filled(share, losses.shape[0], losses.dtype)
    if weight is not None:
        weighted = plan.like("weighted", losses)
        plan(np.multiply, weight, shares, weighted)
        shares = weighted
    plan(losses.dot, shares, loss)


def _if_nan(loss: Array, kernel: Callable[..., None], *arguments: Any) -> None:
    if math.isnan(loss):
        kernel(*arguments)


def _softmax_cross_entropy(
    plan: Plan, logits: Array, labels: Array, losses: Array, slopes: Array, share: float, smoothing: float
) -> None:
    """l = log sum e^s - (1 - smoothing) s_label - smoothing mean(s), with s the shifted logits."""
    rows, classes = logits.shape
    here, picked = plan.like("here", labels), plan.like("picked", losses)
    flat = slopes.reshape(-1)
    shift(plan, logits, slopes)
    plan(np.add, labels, plan.counting(rows, classes), here)
    gather(plan, flat, here, picked)
    if smoothing:
        row_sums(plan, slopes, losses, smoothing / classes)  # (n, C) -> (n,)
        plan(np.multiply, picked, 1 - smoothing, picked)
        plan(np.add, picked, losses, picked)
    total = exponentials(plan, slopes, slopes)
    plan(np.log, total, losses)
    plan(np.subtract, losses, picked, losses)
    plan(np.divide, share, total, total)
    broadcast(plan, np.multiply, slopes, total[:, None], slopes)
    if smoothing:
        plan(np.subtract, slopes, share * smoothing / classes, slopes)
    gather(plan, flat, here, picked)
    plan(np.subtract, picked, share * (1 - smoothing), picked)
    plan(flat.__setitem__, here, picked)


def _soft_cross_entropy(
    plan: Plan, logits: Array, targets: Array, losses: Array, slopes: Array, share: float, smoothing: float
) -> None:
    """l = sum(q) log sum e^s - sum(q s), with s the shifted logits."""
    q = targets
    if smoothing:
        q = plan.like("smoothed", logits)
        plan(np.multiply, targets, 1 - smoothing, q)
        plan(np.add, q, smoothing / logits.shape[1], q)
    agreement = plan.like("agreement", losses)
    shift(plan, logits, slopes)
    plan(np.vecdot, q, slopes, agreement)  # (n, C) . (n, C) -> (n,)
    total = exponentials(plan, slopes, slopes)
    broadcast(plan, np.divide, slopes, total[:, None], slopes)
    plan(np.subtract, slopes, q, slopes)
    plan(np.multiply, slopes, share, slopes)
    row_sums(plan, q, losses)
    plan(np.log, total, total)
    plan(np.multiply, losses, total, losses)
    plan(np.subtract, losses, agreement, losses)


def _sigmoid_cross_entropy(
    plan: Plan, logits: Array, targets: Array, losses: Array, slopes: Array, share: float
) -> None:
    """l = log(1 + e^-|z|) + z ((z > 0) - t); the slope is |e^-|z| / (1 + e^-|z|) - (z > 0)| - t."""
    small, term = plan.like("small", logits), plan.like("term", logits)
    positive = plan.like("positive", logits)
    indicate(plan, logits, positive)
    plan(np.abs, logits, small)
    plan(np.negative, small, small)
    plan(np.exp, small, small)
    plan(np.subtract, positive, targets, term)
    plan(np.multiply, term, logits, term)
    plan(np.log1p, small, slopes)
    plan(np.add, term, slopes, term)
    row_sums(plan, term, losses)  # (n, O) -> (n,)
    plan(np.add, small, 1, term)
    plan(np.divide, small, term, slopes)
    plan(np.subtract, slopes, positive, slopes)
    plan(np.abs, slopes, slopes)
    plan(np.subtract, slopes, targets, slopes)
    plan(np.multiply, slopes, share, slopes)


def _mean_squared_error(
    plan: Plan, outputs: Array, targets: Array, losses: Array, slopes: Array, share: float
) -> None:
    plan(np.subtract, outputs, targets, slopes)
    plan(np.vecdot, slopes, slopes, losses)  # (n, O) . (n, O) -> (n,)
    plan(np.multiply, slopes, 2 * share, slopes)


def _mean_absolute_error(
    plan: Plan, outputs: Array, targets: Array, losses: Array, slopes: Array, share: float
) -> None:
    error = plan.like("error", outputs)
    plan(np.subtract, outputs, targets, error)
    plan(np.abs, error, slopes)
    row_sums(plan, slopes, losses)  # (n, O) -> (n,)
    plan(np.sign, error, slopes)
    plan(np.multiply, slopes, share, slopes)


def _huber(
    plan: Plan, outputs: Array, targets: Array, losses: Array, slopes: Array, share: float, delta: float
) -> None:
    error, half = plan.like("error", outputs), plan.like("half", outputs)
    vector = slopes.reshape(-1)
    plan(np.subtract, outputs, targets, error)
    plan.minimum(error.reshape(-1), delta, vector)
    plan.maximum(vector, -delta, vector)
    plan(np.multiply, slopes, 0.5, half)
    plan(np.subtract, error, half, error)
    plan(np.vecdot, slopes, error, losses)  # (n, O) . (n, O) -> (n,)
    plan(np.multiply, slopes, share, slopes)
