"""Losses with their gradient, a block of rows at a time, the gradient's own memory as workspace."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from nnx import interface
from nnx.interface import Array
from nnx_numpy.activations import exponentials, shift
from nnx_numpy.workspace import quiet, row_blocks, row_sums, workspace


class Losses(interface.losses.Losses):
    """Kernels that end a forward pass and begin a backward pass."""

    @quiet
    def softmax_cross_entropy(
        self,
        logits: Array,
        labels: Array,
        weight: Array | None,
        loss: Array,
        dlogits: Array | None,
        smoothing: float,
    ) -> None:
        """Labels are gathered and scattered; no one-hot matrix is made."""
        _by_rows(_softmax_cross_entropy, logits, labels, weight, loss, dlogits, 1, smoothing)

    @quiet
    def soft_cross_entropy(
        self,
        logits: Array,
        targets: Array,
        weight: Array | None,
        loss: Array,
        dlogits: Array | None,
        smoothing: float,
    ) -> None:
        """Row sums by dot products; the reference sorts out 0 log 0 where one made the loss NaN."""
        _by_rows(_soft_cross_entropy, logits, targets, weight, loss, dlogits, 1, smoothing)
        if math.isnan(loss):
            super().soft_cross_entropy(logits, targets, weight, loss, dlogits, smoothing)

    @quiet
    def sigmoid_cross_entropy(
        self, logits: Array, targets: Array, weight: Array | None, loss: Array, dlogits: Array | None
    ) -> None:
        """Loss and gradient share e^-|z|."""
        _by_rows(_sigmoid_cross_entropy, logits, targets, weight, loss, dlogits, logits.shape[1])

    @quiet
    def mean_squared_error(
        self, outputs: Array, targets: Array, weight: Array | None, loss: Array, doutputs: Array | None
    ) -> None:
        """Row sums by dot products."""
        _by_rows(_mean_squared_error, outputs, targets, weight, loss, doutputs, outputs.shape[1])

    @quiet
    def mean_absolute_error(
        self, outputs: Array, targets: Array, weight: Array | None, loss: Array, doutputs: Array | None
    ) -> None:
        """Row sums by dot products."""
        _by_rows(_mean_absolute_error, outputs, targets, weight, loss, doutputs, outputs.shape[1])

    @quiet
    def huber(
        self,
        outputs: Array,
        targets: Array,
        weight: Array | None,
        loss: Array,
        doutputs: Array | None,
        delta: float,
    ) -> None:
        """With the slope s = clip(e, -delta, delta), both branches of the loss are s (e - s / 2)."""
        _by_rows(_huber, outputs, targets, weight, loss, doutputs, outputs.shape[1], delta)


def _by_rows(
    kernel: Callable[..., None],
    outputs: Array,
    targets: Array,
    weight: Array | None,
    loss: Array,
    gradient: Array | None,
    terms: int,
    *attributes: float,
) -> None:
    """Run kernel(outputs, targets, losses, slopes, *attributes) on blocks of rows; weigh, average and scale.

    The kernel leaves its rows' losses in losses (n,), and the slopes before weighing in slopes (n, O).
    """
    n, columns = outputs.shape
    losses = workspace.take("losses", (n,), outputs.dtype)
    for rows in row_blocks(n, columns):
        part = outputs[rows]
        slopes = workspace.like("slopes", part) if gradient is None else gradient[rows]
        kernel(part, targets[rows], losses[rows], slopes, *attributes)
        if gradient is not None:
            np.multiply(slopes, 1 / (n * terms), out=slopes)
            if weight is not None:
                np.multiply(slopes, weight[rows, None], out=slopes)
    counts = workspace.filled(1.0, n, outputs.dtype) if weight is None else weight
    loss[...] = np.dot(losses, counts) / (n * terms)


def _softmax_cross_entropy(logits: Array, labels: Array, losses: Array, slopes: Array, smoothing: float) -> None:
    """l = log sum e^s - (1 - smoothing) s_label - smoothing mean(s), with s the shifted logits."""
    classes = logits.shape[1]
    here, picked = _positions(labels, classes), workspace.like("picked", losses)
    shift(logits, slopes)
    np.take(slopes.reshape(-1), here, out=picked, mode="clip")
    if smoothing:
        row_sums(slopes, losses)  # (n, C) -> (n,)
        np.multiply(losses, smoothing / classes, out=losses)
        np.multiply(picked, 1 - smoothing, out=picked)
        np.add(picked, losses, out=picked)
    total = exponentials(slopes, slopes)
    np.log(total, out=losses)
    np.subtract(losses, picked, out=losses)
    np.divide(slopes, total[:, None], out=slopes)
    _subtract_at(slopes, here, 1 - smoothing)
    if smoothing:
        np.subtract(slopes, smoothing / classes, out=slopes)


def _positions(labels: Array, classes: int) -> Array:
    """Return where each row's label lies in the flattened matrix, in scratch."""
    here = workspace.like("here", labels)
    np.multiply(workspace.counting(labels.shape[0]), classes, out=here)
    return np.add(here, labels, out=here)


def _subtract_at(matrix: Array, positions: Array, amount: float) -> None:
    """Subtract from one element of each row."""
    flat, values = matrix.reshape(-1), workspace.take("values", positions.shape, matrix.dtype)
    np.take(flat, positions, out=values, mode="clip")
    np.subtract(values, amount, out=values)
    flat[positions] = values


def _soft_cross_entropy(logits: Array, targets: Array, losses: Array, slopes: Array, smoothing: float) -> None:
    """l = sum(q) log sum e^s - sum(q s), with s the shifted logits."""
    q = targets
    if smoothing:
        q = workspace.like("smoothed", logits)
        np.multiply(targets, 1 - smoothing, out=q)
        np.add(q, smoothing / logits.shape[1], out=q)
    agreement = workspace.like("agreement", losses)
    shift(logits, slopes)
    np.vecdot(q, slopes, out=agreement)  # (n, C) . (n, C) -> (n,)
    total = exponentials(slopes, slopes)
    np.divide(slopes, total[:, None], out=slopes)
    np.subtract(slopes, q, out=slopes)
    row_sums(q, losses)
    np.log(total, out=total)
    np.multiply(losses, total, out=losses)
    np.subtract(losses, agreement, out=losses)


def _sigmoid_cross_entropy(logits: Array, targets: Array, losses: Array, slopes: Array) -> None:
    """l = log(1 + e^-|z|) + z ((z > 0) - t); the slope is |e^-|z| / (1 + e^-|z|) - (z > 0)| - t."""
    small, term = workspace.like("small", logits), workspace.like("term", logits)
    positive = workspace.like("positive", logits)
    np.greater(logits, 0, out=positive)
    np.abs(logits, out=small)
    np.negative(small, out=small)
    np.exp(small, out=small)
    np.subtract(positive, targets, out=term)
    np.multiply(term, logits, out=term)
    np.log1p(small, out=slopes)
    np.add(term, slopes, out=term)
    row_sums(term, losses)  # (n, O) -> (n,)
    np.add(small, 1, out=term)
    np.divide(small, term, out=slopes)
    np.subtract(slopes, positive, out=slopes)
    np.abs(slopes, out=slopes)
    np.subtract(slopes, targets, out=slopes)


def _mean_squared_error(outputs: Array, targets: Array, losses: Array, slopes: Array) -> None:
    np.subtract(outputs, targets, out=slopes)
    np.vecdot(slopes, slopes, out=losses)  # (n, O) . (n, O) -> (n,)
    np.add(slopes, slopes, out=slopes)


def _mean_absolute_error(outputs: Array, targets: Array, losses: Array, slopes: Array) -> None:
    error = workspace.like("error", outputs)
    np.subtract(outputs, targets, out=error)
    np.abs(error, out=slopes)
    row_sums(slopes, losses)  # (n, O) -> (n,)
    np.sign(error, out=slopes)


def _huber(outputs: Array, targets: Array, losses: Array, slopes: Array, delta: float) -> None:
    error, half = workspace.like("error", outputs), workspace.like("half", outputs)
    np.subtract(outputs, targets, out=error)
    np.clip(error, -delta, delta, out=slopes)
    np.multiply(slopes, 0.5, out=half)
    np.subtract(error, half, out=error)
    np.vecdot(slopes, error, out=losses)  # (n, O) . (n, O) -> (n,)
