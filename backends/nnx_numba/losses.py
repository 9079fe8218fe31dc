"""Losses with their gradients, one pass over each block of rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nnx.interface import Array, Backend
from nnx_numba import elementary
from nnx_numba.activations import top_of

from nnx_numba.hostarrays import optional, plain, scratch
from nnx_numba.jit import device
from nnx_numba.kernel import Kernel, kernel
from nnx_numba.lanes import Formula, Value, at_least, scalar, where
from nnx_numba.sweeps import TOP, TOTAL, passes, sweep

log = scalar(elementary.log)

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


def _exp_of_row(x: Value, *factors: Value) -> Value:
    """e^(x - top); the last factor is the largest element."""
    return elementary.exp_falling(x - factors[-1])


def _kept_exp(x: Value, *factors: Value) -> tuple[Value, Value]:
    e = _exp_of_row(x, *factors)
    return e, e


def _label_slope(x: Value, e: Value, *factors: Value, position: Value) -> Value:  # noqa: ARG001
    label, sure, rest, share, _, total = factors
    p = e * (1.0 / total) - rest
    return where(position.same(label), p - sure, p) * share


def _target_slope(x: Value, t: Value, e: Value, *factors: Value) -> tuple[Value, Value]:
    """The slope of -q log softmax, and this."""
    sure, rest, share, _, total = factors
    return (e * (1.0 / total) - (sure * t + rest)) * share, _target_loss(x, t, *factors)


def _target_loss(x: Value, t: Value, *factors: Value) -> Value:
    """-q log softmax; a class with q = 0 counts for nothing."""
    sure, rest, _, top, total = factors
    q = sure * t + rest
    return where(q.equals(0.0), 0.0, -q * ((x - top) - elementary.log(total)))


_label_sums = passes((top_of, TOP), (_exp_of_row, TOTAL))
_label_slopes = passes((top_of, TOP), (_kept_exp, TOTAL), (_label_slope,))
_distances = sweep(lambda x, top: x - top, TOTAL)
_target_sums = passes((top_of, TOP), (lambda x, _, *factors: _exp_of_row(x, *factors), TOTAL), (_target_loss, TOTAL))
_target_slopes = passes(
    (top_of, TOP), (lambda x, _, *factors: _kept_exp(x, *factors), TOTAL), (_target_slope, TOTAL)
)


@device
def label_row(row: Array, label: int, slopes: Array | None, i: int, share: Any, sure: Any, rest: Any) -> Any:
    """Loss of a row with a label, unweighted; its slopes times share."""
    if slopes is None:
        top, total = _label_sums((), (row,), ())
    else:
        top, total = _label_slopes((slopes[i],), (row,), (label, sure, rest, share))
    log_total, term = log(total), row.dtype.type(0)
    if 0 <= label < row.size:
        term = -sure * ((row[label] - top) - log_total)
    if rest != 0:
        term -= rest * (_distances((), (row,), (top,)) - row.size * log_total)
    return term


@device
def target_row(row: Array, target: Array, slopes: Array | None, i: int, share: Any, sure: Any, rest: Any) -> Any:
    """Loss of a row with a distribution, unweighted; its slopes times share."""
    if slopes is None:
        return _target_sums((), (row, target), (sure, rest, share))[2]
    return _target_slopes((slopes[i],), (row, target), (sure, rest, share))[2]


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
