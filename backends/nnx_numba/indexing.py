"""Moving rows and scalars, and counting."""

from __future__ import annotations

import numpy as np

from nnx.interface import Array, Backend
from nnx_numba.hostarrays import GRAIN, flat, plain, row_grain
from nnx_numba.kernel import kernel
from nnx_numba.launches import scratch
from nnx_numba.rows import copy_columns, copy_row, find_largest
from nnx_numba.sweeps import sweep

_add = sweep(lambda a, b: a + b)


@kernel
def add(first: int, last: int, a: Array, b: Array, out: Array) -> None:
    """Units are elements."""
    _add((out[first:last],), (a[first:last], b[first:last]), ())


_NARROW = 4  # words of a row up to which it is copied word by word
_AHEAD = 2  # rows: far enough for memory, and few enough for the nearest caches


ONLY = np.zeros((), np.int64)
"""The number of the batch, where all of `order` is one."""


@kernel
def take_rows(
    first: int, last: int, source: Array, order: Array, batch: Array, out: Array, batch_size: int
) -> None:
    """Copy rows as words or bytes, whatever their type; units are rows.

    The rows lie anywhere, so that the processor cannot foresee the next one, and is told.
    """
    start = batch[()] * batch_size
    if out.shape[1] <= _NARROW:
        for i in range(first, last):
            for j in range(out.shape[1]):
                out[i, j] = source[order[start + i], j]
        return
    for i in range(first, last):
        copy_row(source, order[start + i], order[start + min(i + _AHEAD, last - 1)], out, i)


@kernel
def join(first: int, last: int, a: Array, b: Array, out: Array) -> None:
    """Copy bytes; units are rows."""
    for i in range(first, last):
        copy_columns(i, a, 0, out, 0, a.shape[1])
        copy_columns(i, b, 0, out, a.shape[1], b.shape[1])


@kernel
def split(first: int, last: int, x: Array, a: Array, b: Array) -> None:
    """Copy bytes; units are rows."""
    for i in range(first, last):
        copy_columns(i, x, 0, a, 0, a.shape[1])
        copy_columns(i, x, a.shape[1], b, 0, b.shape[1])


@kernel
def load_at(first: int, last: int, source: Array, index: Array, out: Array) -> None:  # noqa: ARG001
    """One unit."""
    out[()] = source[index[()]]


@kernel
def store_at(first: int, last: int, value: Array, index: Array, out: Array) -> None:  # noqa: ARG001
    """One unit; nothing is stored outside."""
    if 0 <= index[()] < out.size:
        out[index[()]] = value[()]


@kernel
def increment(first: int, last: int, counter: Array) -> None:  # noqa: ARG001
    """One unit."""
    counter[()] += 1


@kernel
def argmax(first: int, last: int, x: Array, out: Array) -> None:
    """Units are rows."""
    for i in range(first, last):
        out[i] = find_largest(x, i)


@kernel
def count_correct(
    first: int, last: int, logits: Array, labels: Array, partial: Array, count: Array, grain: int
) -> None:
    """Count within blocks of `grain` rows; units are blocks."""
    for block in range(first, last):
        correct = 0
        for i in range(block * grain, min((block + 1) * grain, labels.size)):
            correct += find_largest(logits, i) == labels[i]
        partial[block] = correct
    if partial.size == 1:
        count[()] = int(partial[0])


@kernel
def count_correct_binary(
    first: int, last: int, logits: Array, targets: Array, partial: Array, count: Array, grain: int
) -> None:
    """Count within blocks of `grain` elements; units are blocks."""
    for block in range(first, last):
        outputs = logits[block * grain : (block + 1) * grain]
        wanted = targets[block * grain : (block + 1) * grain]
        correct = 0
        for i in range(outputs.size):
            correct += (outputs[i] > 0) == (wanted[i] > 0.5)
        partial[block] = correct
    if partial.size == 1:
        count[()] = int(partial[0])


@kernel
def total_count(first: int, last: int, partial: Array, count: Array) -> None:  # noqa: ARG001
    """Add the blocks' counts; one unit."""
    total = 0
    for block in range(partial.size):
        total += int(partial[block])
    count[()] = total


def words_of(rows: Array) -> Array:
    """Show rows of any type as rows of 32-bit words, or of bytes where that does not come out even."""
    rows = plain(rows)
    rows = rows.reshape(rows.shape[0], -1) if rows.size else rows.reshape(rows.shape[0], 0)
    return rows.view(np.int32 if rows.shape[1] * rows.itemsize % 4 == 0 else np.uint8)


def _bytes_of(rows: Array) -> Array:
    return plain(rows).view(np.uint8)


class Indexing(Backend):
    """Gathering, storing, counting."""

    def add(self, a: Array, b: Array, out: Array) -> None:
        """One pass."""
        add(out.size, GRAIN, flat(a), flat(b), flat(out))

    def take_rows(self, source: Array, order: Array, batch: Array, out: Array, batch_size: int) -> None:
        """Copies words."""
        if out.size:
            rows = words_of(out)
            take_rows(
                *(out.shape[0], row_grain(rows.shape[1]), words_of(source), plain(order)),
                *(plain(batch), rows, batch_size),
            )

    def join(self, a: Array, b: Array, out: Array) -> None:
        """Row by row."""
        join(out.shape[0], row_grain(out.shape[1]), *map(_bytes_of, (a, b, out)))

    def split(self, x: Array, a: Array, b: Array) -> None:
        """Row by row."""
        split(x.shape[0], row_grain(x.shape[1]), *map(_bytes_of, (x, a, b)))

    def load_at(self, source: Array, index: Array, out: Array) -> None:
        """Directly."""
        load_at(1, 1, plain(source), plain(index), out)

    def store_at(self, value: Array, index: Array, out: Array) -> None:
        """Directly."""
        store_at(1, 1, plain(value), plain(index), out)

    def increment(self, counter: Array) -> None:
        """Directly."""
        increment(1, 1, counter)

    def argmax(self, x: Array, out: Array) -> None:
        """Row by row."""
        argmax(x.shape[0], row_grain(x.shape[1]), plain(x), out)

    def count_correct(self, logits: Array, labels: Array, count: Array) -> None:
        """Without storing the predictions."""
        grain = row_grain(logits.shape[1])
        partial = scratch(max(-(-logits.shape[0] // grain), 1))
        count_correct(partial.size, 1, plain(logits), plain(labels), partial, count, grain)
        if partial.size > 1:
            total_count(1, 1, partial, count)

    def count_correct_binary(self, logits: Array, targets: Array, count: Array) -> None:
        """One pass."""
        partial = scratch(max(-(-logits.size // GRAIN), 1))
        count_correct_binary(partial.size, 1, flat(logits), flat(targets), partial, count, GRAIN)
        if partial.size > 1:
            total_count(1, 1, partial, count)
