"""Losses with their gradients, one pass over each block of rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nnx.interface import Array, Backend
from nnx_numba import elementary
from nnx_numba.activations import exp_and_sums, log, row_max

from nnx_numba.hostarrays import optional, plain, scratch
from nnx_numba.jit import device
from nnx_numba.kernel import Kernel, kernel
from nnx_numba.lanes import Formula, Value, at_least, where
from nnx_numba.sweeps import TOTAL, sweep

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
    """Finish a loss of several blocks; one unit."""
    total_of(loss, partial, divisor)


def squared(z: Value, t: Value, delta: Value) -> tuple[Value, Value]:  # noqa: ARG001
    """The slope of e^2, and e^2."""
    e = z - t
    return 2.0 * e, e * e


def absolute(z: Value, t: Value, delta: Value) -> tuple[Value, Value]:  # noqa: ARG001
    """The slope of |e|, NaN at NaN, and |e|."""
    e = z - t
    return where(e < 0.0, -1.0, where(e > 0.0, 1.0, e)), abs(e)


def hubers(z: Value, t: Value, delta: Value) -> tuple[Value, Value]:
    """The slope of e^2 / 2 near 0, of delta (|e| - delta / 2) beyond, and these."""
    e = z - t
    size = abs(e)
    term = where(size <= delta, 0.5 * e * e, delta * (size - 0.5 * delta))
    return where(e < -delta, -delta, where(e > delta, delta, e)), term


def binary(z: Value, t: Value, delta: Value) -> tuple[Value, Value]:  # noqa: ARG001
    """The slope of t log(1 + e^-z) + (1 - t) log(1 + e^z), and this, from one exponential."""
    e = elementary.exp_falling(-abs(z))
    tail = elementary.log1p(e)
    term = t * (at_least(-z, 0.0) + tail) + (1.0 - t) * (at_least(z, 0.0) + tail)
    return where(z < 0.0, e, 1.0) / (1.0 + e) - t, term


def _elementwise(name: str, formula: Formula) -> Kernel:
    def with_gradient(z: Value, t: Value, delta: Value, factor: Value) -> tuple[Value, Value]:
        slope, term = formula(z, t, delta)
        return slope * factor, term

    both = sweep(with_gradient, TOTAL)
    value = sweep(lambda z, t, delta: formula(z, t, delta)[1], TOTAL)

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
        real, size = outputs.dtype.type, height * outputs.shape[1]
        width = size if weight is None else outputs.shape[1]
        z, t = outputs.reshape(outputs.size), targets.reshape(targets.size)
        for block in range(first, last):
            total = 0.0
            for start in range(block * size, min((block + 1) * size, z.size), width):
                stop = min(start + width, z.size)
                share = real(1) if weight is None else weight[start // width]
                ins = z[start:stop], t[start:stop]
                if gradient is None:
                    term = value((), ins, (real(delta),))
                else:
                    slopes = gradient.reshape(gradient.size)[start:stop]
                    term = both((slopes,), ins, (real(delta), share * real(1 / z.size)))
                total += float(term) * share
            partial[block] = total
        if partial.size == 1:
            total_of(loss, partial, float(z.size))

    return Kernel(elementwise_loss, name)


_SQUARED = _elementwise("squared", squared)
_ABSOLUTE = _elementwise("absolute", absolute)
_HUBER = _elementwise("huber", hubers)
_BINARY = _elementwise("binary", binary)


def _label_slope(e: Value, scale: Value, rest: Value, share: Value) -> Value:
    """The slope of a class that is not the label."""
    return (e * scale - rest) * share


def _target_terms(x: Value, t: Value, e: Value, *factors: Value) -> tuple[Value, Value]:
    """The slope of -q log softmax, and this; a class with q = 0 counts for nothing."""
    top, log_total, sure, rest, scale, share = factors
    q = sure * t + rest
    return (e * scale - q) * share, where(q.equals(0.0), 0.0, -q * ((x - top) - log_total))


_exp_row = sweep(exp_and_sums, TOTAL, TOTAL)
_exp_sums = sweep(lambda x, top: exp_and_sums(x, top)[1:], TOTAL, TOTAL)
_label_slopes = sweep(_label_slope)
_target_slopes = sweep(_target_terms, TOTAL)
_target_loss = sweep(lambda x, t, *factors: _target_terms(x, t, x, *factors)[1], TOTAL)


@device
def label_row(row: Array, label: int, slopes: Array | None, i: int, share: Any, sure: Any, rest: Any) -> Any:
    """Loss of a row with a label, unweighted; its slopes times share."""
    top = row_max((), (row,), ())
    if slopes is None:
        total, distance = _exp_sums((), (row,), (top,))
    else:
        total, distance = _exp_row((slopes[i],), (row,), (top,))
        _label_slopes((slopes[i],), (slopes[i],), (row.dtype.type(1) / total, rest, share))
    log_total, term = log(total), row.dtype.type(0)
    if 0 <= label < row.size:
        term = -sure * ((row[label] - top) - log_total)
        if slopes is not None:
            slopes[i, label] -= sure * share
    return term if rest == 0 else term - rest * (distance - row.size * log_total)


@device
def target_row(row: Array, target: Array, slopes: Array | None, i: int, share: Any, sure: Any, rest: Any) -> Any:
    """Loss of a row with a distribution, unweighted; its slopes times share."""
    top = row_max((), (row,), ())
    if slopes is None:
        total = _exp_sums((), (row,), (top,))[0]
        return _target_loss((), (row, target), (top, log(total), sure, rest, total, share))
    total = _exp_row((slopes[i],), (row,), (top,))[0]
    factors = top, log(total), sure, rest, row.dtype.type(1) / total, share
    return _target_slopes((slopes[i],), (row, target, slopes[i]), factors)


def _categorical(name: str, loss_of_row: Callable[..., Any]) -> Kernel:
    def cross_entropy(
        first: int,
        last: int,
        logits: Array,
        truth: Array,
        weight: Array | None,
        loss: Array,
        dlogits: Array | None,
        partial: Array,
        height: int,
        smoothing: float,
    ) -> None:
        """Units are blocks of `height` rows; a row stays in cache for its passes."""
        rows, real = logits.shape[0], logits.dtype.type
        sure, rest = real(1 - smoothing), real(smoothing / logits.shape[1])
        for block in range(first, last):
            total = 0.0
            for i in range(block * height, min((block + 1) * height, rows)):
                share = real(1) if weight is None else weight[i]
                term = loss_of_row(logits[i], truth[i], dlogits, i, share / real(rows), sure, rest)
                total += float(term) * share
            partial[block] = total
        if partial.size == 1:
            total_of(loss, partial, float(rows))

    return Kernel(cross_entropy, name)


_LABELS = _categorical("labels", label_row)
_TARGETS = _categorical("targets", target_row)


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
    height = max(1, _BLOCK // columns)
    partial = scratch(-(-rows // height))
    arguments = plain(outputs), plain(targets), optional(weight), loss, gradient
    run(partial.size, 8, *arguments, partial, height, float(parameter))
    if partial.size > 1:
        mean_loss(1, 1, loss, partial, float(divisor))


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
        _deal(_LABELS, logits, labels, weight, loss, dlogits, smoothing, logits.shape[0])

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
        _deal(_TARGETS, logits, targets, weight, loss, dlogits, smoothing, logits.shape[0])

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
