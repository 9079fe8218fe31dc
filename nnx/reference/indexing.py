"""Reference for `nnx.interface.indexing`."""

from __future__ import annotations

from typing import Any

Array = Any


def add(xp: Any, a: Array, b: Array, out: Array) -> None:
    """out = a + b."""
    out[...] = a + b


def take_rows(xp: Any, source: Array, order: Array, batch: Array, out: Array, batch_size: int) -> None:
    """out[i] = source[order[batch * batch_size + i]]."""
    rows = batch * batch_size + xp.arange(out.shape[0], dtype=xp.int64)
    out[...] = xp.take(source, xp.take(order, rows, axis=0), axis=0)


def join(xp: Any, a: Array, b: Array, out: Array) -> None:
    """out = [a, b]."""
    out[...] = xp.concat([a, b], axis=1)  # (N, A), (N, B) -> (N, A + B)


def split(xp: Any, x: Array, a: Array, b: Array) -> None:
    """[a, b] = x."""
    del xp
    a[...], b[...] = x[:, : a.shape[1]], x[:, a.shape[1] :]


def load_at(xp: Any, source: Array, index: Array, out: Array) -> None:
    """out = source[index]."""
    out[...] = xp.take(source, xp.reshape(index, (1,)), axis=0)[0]


def store_at(xp: Any, value: Array, index: Array, out: Array) -> None:
    """out[index] = value."""
    here = xp.arange(out.shape[0], dtype=xp.int64) == index
    out[...] = xp.where(here, xp.astype(value, out.dtype), out)


def increment(xp: Any, counter: Array) -> None:
    """counter = counter + 1."""
    counter[...] = counter + 1


def argmax(xp: Any, x: Array, out: Array) -> None:
    """Index of the first largest element, or of the first NaN, of each row."""
    columns = xp.arange(x.shape[1], dtype=xp.int64)
    missing = xp.isnan(x)
    top = xp.max(xp.where(missing, xp.full_like(x, -float("inf")), x), axis=1, keepdims=True)  # (N, 1)
    candidate = xp.where(xp.any(missing, axis=1, keepdims=True), missing, x == top)
    out[...] = xp.min(xp.where(candidate, columns, xp.full_like(columns, x.shape[1])), axis=1)


def count_correct(xp: Any, logits: Array, labels: Array, count: Array) -> None:
    """Number of rows whose argmax is the label."""
    predicted = xp.zeros_like(labels)
    argmax(xp, logits, predicted)
    count[...] = xp.sum(xp.astype(predicted == labels, xp.int64))


def count_correct_binary(xp: Any, logits: Array, targets: Array, count: Array) -> None:
    """Number of elements on the right side of 0."""
    count[...] = xp.sum(xp.astype((logits > 0) == (targets > 0.5), xp.int64))
