"""Losses with their gradients, one pass over each block of rows."""

from __future__ import annotations

from nnx.interface import Array, Backend
from nnx_numba import elementary
from nnx_numba.activations import top_of
from nnx_numba.hostarrays import optional, plain
from nnx_numba.jit import device
from nnx_numba.kernel import Kernel, kernel
from nnx_numba.lanes import Formula, Value, at_least, scalar, where
from nnx_numba.launches import scratch
from nnx_numba.sweeps import passes, sweep
from nnx_numba.vectors import TOP, TOTAL

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

    def without(z: Value, t: Value, delta: Value, factor: Value) -> Value:  # noqa: ARG001
        term: Value = formula(z, t, delta)[1]
        return term

    block_slopes, row_slopes = sweep(with_gradient, TOTAL), passes((with_gradient, TOTAL))
    block_loss, row_loss = sweep(without, TOTAL), passes((without, TOTAL))

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
        real, columns = outputs.dtype.type, outputs.shape[1]
        limit, scale = real(delta), real(1 / outputs.size)
        for block in range(first, last):
            start, stop = block * height, min((block + 1) * height, outputs.shape[0])
            total = 0.0
            if weight is None:
                part = slice(start * columns, stop * columns)
                z, t = outputs.reshape(outputs.size)[part], targets.reshape(targets.size)[part]
                if gradient is None:
                    total = float(block_loss((), (z, t), (limit, scale)))
                else:
                    slopes = gradient.reshape(gradient.size)[part]
                    total = float(block_slopes((slopes,), (z, t), (limit, scale)))
            else:
                for i in range(start, stop):
                    ins = outputs, targets
                    if gradient is None:
                        term = row_loss(i, (), ins, (limit, scale))
                    else:
                        term = row_slopes(i, (gradient,), ins, (limit, weight[i] * scale))
                    total += float(term) * weight[i]
            partial[block] = total
        if partial.size == 1:
            total_of(loss, partial, float(outputs.size))

    return Kernel(elementwise_loss, name)


_SQUARED = _elementwise("squared", squared)
_ABSOLUTE = _elementwise("absolute", absolute)
_HUBER = _elementwise("huber", hubers)
_BINARY = _elementwise("binary", binary)


def _exp_of_row(x: Value, *others: Value) -> Value:
    """e^(x - top); the last one given is the largest element."""
    return elementary.exp_falling(x - others[-1])


def _kept_exp(x: Value, *others: Value) -> tuple[Value, Value]:
    e = _exp_of_row(x, *others)
    return e, e


def _label_slope(x: Value, e: Value, *factors: Value, position: Value) -> Value:  # noqa: ARG001
    label, sure, rest, share, _, total = factors
    return (e * (1.0 / total) - where(position.same(label), sure + rest, rest)) * share


def _target_loss(x: Value, t: Value, *factors: Value) -> Value:
    """-q log softmax; a class with q = 0 counts for nothing."""
    sure, rest, _, top, total = factors
    q = sure * t + rest
    return where(q.equals(0.0), 0.0, -q * ((x - top) - elementary.log(total)))


def _target_slope(x: Value, t: Value, e: Value, *factors: Value) -> tuple[Value, Value]:
    sure, rest, share, _, total = factors
    return (e * (1.0 / total) - (sure * t + rest)) * share, _target_loss(x, t, *factors)


_top, _sum, _kept_sum = (top_of, TOP), (_exp_of_row, TOTAL), (_kept_exp, TOTAL)
_label_sums = passes(_top, _sum)
_label_slopes = passes(_top, _kept_sum, (_label_slope,))
_distances = passes((lambda x, top: x - top, TOTAL))
_log = scalar(elementary.log)
_target_losses = passes(_top, _sum, (_target_loss, TOTAL))
_target_slopes = passes(_top, _kept_sum, (_target_slope, TOTAL))


@kernel
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
    """Against labels or distributions; units are blocks of `height` rows, each in cache for its passes."""
    rows, real = logits.shape[0], logits.dtype.type
    sure, rest = real(1 - smoothing), real(smoothing / logits.shape[1])
    for block in range(first, last):
        total = 0.0
        for i in range(block * height, min((block + 1) * height, rows)):
            weight_of_row = real(1) if weight is None else weight[i]
            share = weight_of_row / real(rows)
            if truth.ndim == 1:
                if dlogits is None:
                    top, count = _label_sums(i, (), (logits,), ())
                else:
                    top, count = _label_slopes(i, (dlogits,), (logits,), (truth[i], sure, rest, share))
                term = real(0)
                if 0 <= truth[i] < logits.shape[1]:
                    term = sure * (_log(count) - (logits[i, truth[i]] - top))
                if rest != 0:
                    distances = _distances(i, (), (logits,), (top,))
                    term += rest * (real(logits.shape[1]) * _log(count) - distances)
            else:
                if dlogits is None:
                    term = _target_losses(i, (), (logits, truth), (sure, rest, share))[2]
                else:
                    term = _target_slopes(i, (dlogits,), (logits, truth), (sure, rest, share))[2]
            total += float(term) * weight_of_row
        partial[block] = total
    if partial.size == 1:
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
        _deal(cross_entropy, logits, labels, weight, loss, dlogits, smoothing, logits.shape[0])

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
        _deal(cross_entropy, logits, targets, weight, loss, dlogits, smoothing, logits.shape[0])

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
