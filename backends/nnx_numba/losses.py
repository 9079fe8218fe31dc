"""Losses with their gradients, one pass over each block of rows."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from nnx.interface import Array, Backend
from nnx_numba import elementary
from nnx_numba.activations import log_of_sum, row_max, row_sum
from nnx_numba.elementary import Real, at_least, half, one, two, zero
from nnx_numba.hostarrays import optional, plain, scratch
from nnx_numba.instructions import accumulate
from nnx_numba.jit import device
from nnx_numba.kernel import Kernel, kernel

_BLOCK = 4096
"""Elements whose losses are summed in their own precision; the sums of blocks are added in float64."""


@device
def total_of(loss: Array, partial: Array, divisor: float) -> None:
    """The mean loss from the sums of all blocks."""
    total = 0.0
    for block in range(partial.size):
        total += partial[block]
    loss[()] = total / divisor


@kernel
def mean_loss(first: int, last: int, loss: Array, partial: Array, divisor: float) -> None:  # noqa: ARG001
    """Finish a loss that was dealt out; one unit."""
    total_of(loss, partial, divisor)


def rows_of_block(columns: int) -> int:
    """How many rows make one block."""
    return max(1, _BLOCK // columns)


@device
def squared(z: Real, t: Real, delta: Real) -> tuple[Real, Real]:  # noqa: ARG001
    """e^2 and its slope."""
    e = z - t
    return e * e, two(e) * e


@device
def absolute(z: Real, t: Real, delta: Real) -> tuple[Real, Real]:  # noqa: ARG001
    """|e| and its slope; that of NaN is NaN."""
    e = z - t
    sign = one(e) if e > zero(e) else e
    return abs(e), -one(e) if e < zero(e) else sign


@device
def hubers(z: Real, t: Real, delta: Real) -> tuple[Real, Real]:
    """e^2 / 2 near 0, delta (|e| - delta / 2) beyond, and the slope."""
    e = z - t
    size = abs(e)
    inner = half(e) * e * e
    term = inner if size <= delta else delta * (size - half(e) * delta)
    return term, -delta if e < -delta else (delta if e > delta else e)


@device
def binary(z: Real, t: Real, delta: Real) -> tuple[Real, Real]:  # noqa: ARG001
    """t log(1 + e^-z) + (1 - t) log(1 + e^z) and its slope, from one exponential."""
    e = elementary.exp(-abs(z))
    tail = elementary.log1p(e)
    term = t * (at_least(-z, zero(z)) + tail) + (one(z) - t) * (at_least(z, zero(z)) + tail)
    return term, (e if z < zero(z) else one(z)) / (one(z) + e) - t


def _elementwise(name: str, function: Callable[..., Any]) -> Kernel:
    def elementwise_loss(
        first: int,
        last: int,
        outputs: Array,
        targets: Array,
        weight: Array | None,
        loss: Array,
        gradient: Array | None,
        partial: Array,
        height: int,
        delta: float,
    ) -> None:
        """Units are blocks of `height` rows; without weights, a block is one long row."""
        limit, size = outputs.dtype.type(delta), height * outputs.shape[1]
        width = size if weight is None else outputs.shape[1]
        flat_outputs, flat_targets = outputs.reshape(-1), targets.reshape(-1)
        scale = outputs.dtype.type(1.0 / outputs.size)
        for block in range(first, last):
            total = zero(limit)
            for start in range(block * size, min((block + 1) * size, outputs.size), width):
                z, t = flat_outputs[start : start + width], flat_targets[start : start + width]
                share = one(limit) if weight is None else weight[start // width]
                factor = share * scale
                if gradient is not None:
                    slopes = gradient.reshape(-1)[start : start + width]
                for j in range(z.size):
                    total = accumulate(total, function(z[j], t[j], limit)[0] * share)
                if gradient is not None:
                    for j in range(z.size):
                        slopes[j] = function(z[j], t[j], limit)[1] * factor
            partial[block] = total
        if first == 0 and last == partial.size:
            total_of(loss, partial, float(outputs.size))

    return Kernel(elementwise_loss, name)


_SQUARED = _elementwise("squared", squared)
_ABSOLUTE = _elementwise("absolute", absolute)
_HUBER = _elementwise("huber", hubers)
_BINARY = _elementwise("binary", binary)


@kernel
def softmax_cross_entropy(
    first: int,
    last: int,
    logits: Array,
    labels: Array,
    weight: Array | None,
    loss: Array,
    dlogits: Array | None,
    partial: Array,
    height: int,
    smoothing: float,
) -> None:
    """Units are blocks of `height` rows; a row stays in cache for its passes."""
    rows, columns = logits.shape
    sure, rest = logits.dtype.type(1 - smoothing), logits.dtype.type(smoothing / columns)
    for block in range(first, last):
        total = 0.0
        for i in range(block * height, min((block + 1) * height, rows)):
            row, label = logits[i], labels[i]
            share = one(sure) if weight is None else weight[i]
            top = row_max(row)
            if dlogits is None:
                log_total = log_of_sum(row, top)
            else:
                log_total = gradient_of_row(row, dlogits[i], top, rest, share / logits.dtype.type(rows))
                if 0 <= label < columns:
                    dlogits[i, label] -= sure * share / logits.dtype.type(rows)
            term = zero(sure)
            if 0 <= label < columns:
                term -= sure * ((row[label] - top) - log_total)
            if smoothing > 0:
                term -= rest * sum_of_logs(row, top, log_total)
            total += float(term * share)
        partial[block] = total
    if first == 0 and last == partial.size:
        total_of(loss, partial, float(rows))


@device
def gradient_of_row(row: Array, gradient: Array, top: Real, rest: Real, share: Real) -> Real:
    """Write (softmax - rest) share, and return log sum e^(x - top)."""
    for j in range(row.size):
        gradient[j] = elementary.exp(row[j] - top)
    total = row_sum(gradient)
    scale = one(total) / total
    for j in range(row.size):
        gradient[j] = (gradient[j] * scale - rest) * share
    return math.log(total)


@device
def sum_of_logs(row: Array, top: Real, log_total: Real) -> Real:
    """Sum of log softmax over a row."""
    total = zero(top)
    for j in range(row.size):
        total = accumulate(total, (row[j] - top) - log_total)
    return total


@kernel
def soft_cross_entropy(
    first: int,
    last: int,
    logits: Array,
    targets: Array,
    weight: Array | None,
    loss: Array,
    dlogits: Array | None,
    partial: Array,
    height: int,
    smoothing: float,
) -> None:
    """Units are blocks of `height` rows; a row stays in cache for its passes."""
    rows, columns = logits.shape
    sure, rest = logits.dtype.type(1 - smoothing), logits.dtype.type(smoothing / columns)
    for block in range(first, last):
        total = 0.0
        for i in range(block * height, min((block + 1) * height, rows)):
            row, target = logits[i], targets[i]
            share = one(sure) if weight is None else weight[i]
            top = row_max(row)
            log_total = log_of_sum(row, top)
            term = zero(sure)
            for j in range(columns):
                q, log_p = sure * target[j] + rest, (row[j] - top) - log_total
                term = accumulate(term, zero(q) if q == zero(q) else -q * log_p)
            if dlogits is not None:
                for j in range(columns):
                    q, log_p = sure * target[j] + rest, (row[j] - top) - log_total
                    dlogits[i, j] = (elementary.exp(log_p) - q) * share / logits.dtype.type(rows)
            total += float(term * share)
        partial[block] = total
    if first == 0 and last == partial.size:
        total_of(loss, partial, float(rows))


def _deal(
    run: Kernel,
    outputs: Array,
    targets: Array,
    weight: Array | None,
    loss: Array,
    gradient: Array | None,
    parameter: float,
    divisor: int,
) -> None:
    """Run a loss kernel on blocks of rows, eight to a grain, and add up what they found."""
    rows, columns = outputs.shape
    height = rows_of_block(columns)
    partial = scratch(-(-rows // height))
    arguments = plain(outputs), plain(targets), optional(weight), loss, gradient
    if not run(partial.size, 8, *arguments, partial, height, float(parameter)):
        mean_loss.run(0, 1, loss, partial, float(divisor))


class Losses(Backend):
    """Losses and their gradients."""

    def softmax_cross_entropy(
        self,
        logits: Array,
        labels: Array,
        weight: Array | None,
        loss: Array,
        dlogits: Array | None,
        smoothing: float,
    ) -> None:
        """Three passes over a row in cache."""
        _deal(softmax_cross_entropy, logits, labels, weight, loss, dlogits, smoothing, logits.shape[0])

    def soft_cross_entropy(
        self,
        logits: Array,
        targets: Array,
        weight: Array | None,
        loss: Array,
        dlogits: Array | None,
        smoothing: float,
    ) -> None:
        """Three passes over a row in cache."""
        _deal(soft_cross_entropy, logits, targets, weight, loss, dlogits, smoothing, logits.shape[0])

    def sigmoid_cross_entropy(
        self, logits: Array, targets: Array, weight: Array | None, loss: Array, dlogits: Array | None
    ) -> None:
        """One pass, one exponential."""
        _deal(_BINARY, logits, targets, weight, loss, dlogits, 0.0, logits.size)

    def mean_squared_error(
        self, outputs: Array, targets: Array, weight: Array | None, loss: Array, doutputs: Array | None
    ) -> None:
        """One pass."""
        _deal(_SQUARED, outputs, targets, weight, loss, doutputs, 0.0, outputs.size)

    def mean_absolute_error(
        self, outputs: Array, targets: Array, weight: Array | None, loss: Array, doutputs: Array | None
    ) -> None:
        """One pass."""
        _deal(_ABSOLUTE, outputs, targets, weight, loss, doutputs, 0.0, outputs.size)

    def huber(
        self,
        outputs: Array,
        targets: Array,
        weight: Array | None,
        loss: Array,
        doutputs: Array | None,
        delta: float,
    ) -> None:
        """One pass."""
        _deal(_HUBER, outputs, targets, weight, loss, doutputs, delta, outputs.size)
