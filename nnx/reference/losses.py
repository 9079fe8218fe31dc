"""Reference for `nnx.interface.losses`."""

from __future__ import annotations

from typing import Any

from nnx.reference.activations import log_probabilities, sigmoid, softplus

Array = Any


def _finish(
    xp: Any,
    element_loss: Array,
    slope: Array,
    divisor: int,
    weight: Array | None,
    loss: Array,
    gradient: Array | None,
) -> None:
    """Weigh the rows, average the losses, and scale the slopes alike."""
    if weight is not None:
        element_loss, slope = element_loss * weight[:, None], slope * weight[:, None]
    loss[...] = xp.sum(element_loss) / divisor
    if gradient is not None:
        gradient[...] = slope / divisor


def softmax_cross_entropy(
    xp: Any,
    logits: Array,
    labels: Array,
    weight: Array | None,
    loss: Array,
    dlogits: Array | None,
    smoothing: float,
) -> None:
    """-sum q log softmax(logits), from integer labels."""
    classes = xp.arange(logits.shape[1], dtype=xp.int64)
    onehot = xp.astype(labels[:, None] == classes[None, :], logits.dtype)  # (N,) -> (N, C)
    soft_cross_entropy(xp, logits, onehot, weight, loss, dlogits, smoothing)


def soft_cross_entropy(
    xp: Any,
    logits: Array,
    targets: Array,
    weight: Array | None,
    loss: Array,
    dlogits: Array | None,
    smoothing: float,
) -> None:
    """-sum q log softmax(logits), from a distribution per row."""
    n, classes = logits.shape
    q = (1 - smoothing) * targets + smoothing / classes
    log_p = log_probabilities(xp, logits)
    terms = xp.where(q == 0, xp.zeros_like(q), -q * log_p)  # 0 log 0 = 0, also where log p is -infinity
    _finish(xp, terms, xp.exp(log_p) - q, n, weight, loss, dlogits)


def sigmoid_cross_entropy(
    xp: Any, logits: Array, targets: Array, weight: Array | None, loss: Array, dlogits: Array | None
) -> None:
    """Binary cross-entropy from logits: log(1 + e^z) - z t, arranged so that nothing cancels for large |z|."""
    z, t = logits, targets
    terms = t * softplus(xp, -z) + (1 - t) * softplus(xp, z)
    _finish(xp, terms, sigmoid(xp, z) - t, z.shape[0] * z.shape[1], weight, loss, dlogits)


def mean_squared_error(
    xp: Any, outputs: Array, targets: Array, weight: Array | None, loss: Array, doutputs: Array | None
) -> None:
    """e^2."""
    e = outputs - targets
    _finish(xp, e * e, 2 * e, e.shape[0] * e.shape[1], weight, loss, doutputs)


def mean_absolute_error(
    xp: Any, outputs: Array, targets: Array, weight: Array | None, loss: Array, doutputs: Array | None
) -> None:
    """|e|."""
    e = outputs - targets
    _finish(xp, xp.abs(e), xp.sign(e), e.shape[0] * e.shape[1], weight, loss, doutputs)


def huber(
    xp: Any,
    outputs: Array,
    targets: Array,
    weight: Array | None,
    loss: Array,
    doutputs: Array | None,
    delta: float,
) -> None:
    """e^2 / 2 near zero, delta (|e| - delta / 2) beyond."""
    e = outputs - targets
    size = xp.abs(e)
    terms = xp.where(size <= delta, 0.5 * e * e, delta * (size - 0.5 * delta))
    slope = xp.where(size <= delta, e, delta * xp.sign(e))
    _finish(xp, terms, slope, e.shape[0] * e.shape[1], weight, loss, doutputs)
