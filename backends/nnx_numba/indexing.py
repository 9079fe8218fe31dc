"""Moving rows and scalars, and counting."""

from __future__ import annotations

import numpy as np

from nnx.interface import Array, Backend
from nnx_numba.jit import device
from nnx_numba.instructions import larger
@device
def row_max(row):
    top = row[0]
    for j in range(row.size):
        top = larger(top, row[j])
    return top

from nnx_numba.hostarrays import GRAIN, flat, plain, row_grain, scratch
from nnx_numba.kernel import kernel


@kernel
def add(first: int, last: int, a: Array, b: Array, out: Array) -> None:
    """Units are elements."""
    a, b, out = a[first:last], b[first:last], out[first:last]
    for i in range(out.size):
        out[i] = a[i] + b[i]


@kernel
def take_rows(
    first: int, last: int, source: Array, order: Array, batch: Array, out: Array, batch_size: int
) -> None:
    """Copy rows as words or bytes, whatever their type; units are rows."""
    start = batch[()] * batch_size
    for i in range(first, last):
        origin, row = source[order[start + i]], out[i]
        for j in range(row.size):
            row[j] = origin[j]


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


@device
def row_argmax(row: Array) -> int:
    """Find the largest element with vector instructions, then its first place."""
    top = row_max(row)
    for j in range(row.size):
        if row[j] == top or row[j] != row[j]:
            return j
    return 0


@kernel
def argmax(first: int, last: int, x: Array, out: Array) -> None:
    """Units are rows."""
    for i in range(first, last):
        out[i] = row_argmax(x[i])


@kernel
def count_correct(first: int, last: int, logits: Array, labels: Array, partial: Array, grain: int) -> None:
    """Count within blocks of `grain` rows; units are blocks."""
    for block in range(first, last):
        count = 0
        for i in range(block * grain, min((block + 1) * grain, labels.size)):
            count += row_argmax(logits[i]) == labels[i]
        partial[block] = count


@kernel
def count_correct_binary(first: int, last: int, logits: Array, targets: Array, partial: Array, grain: int) -> None:
    """Count within blocks of `grain` elements; units are blocks."""
    for block in range(first, last):
        outputs = logits[block * grain : (block + 1) * grain]
        wanted = targets[block * grain : (block + 1) * grain]
        count = 0
        for i in range(outputs.size):
            count += (outputs[i] > 0) == (wanted[i] > 0.5)
        partial[block] = count


@kernel
def total_count(first: int, last: int, partial: Array, count: Array) -> None:  # noqa: ARG001
    """Add the blocks' counts; one unit."""
    total = 0
    for block in range(partial.size):
        total += int(partial[block])
    count[()] = total


def _words(rows: Array) -> Array:
    """Show rows of any type as rows of 32-bit words, or of bytes where that does not come out even."""
    rows = plain(rows)
    rows = rows.reshape(rows.shape[0], -1) if rows.size else rows.reshape(rows.shape[0], 0)
    return rows.view(np.int32 if rows.shape[1] * rows.itemsize % 4 == 0 else np.uint8)


class Indexing(Backend):
    """Gathering, storing, counting."""

    def add(self, a: Array, b: Array, out: Array) -> None:
        """One pass."""
        add(out.size, GRAIN, flat(a), flat(b), flat(out))

    def take_rows(self, source: Array, order: Array, batch: Array, out: Array, batch_size: int) -> None:
        """Copies words."""
        if out.size:
            rows = _words(out)
            take_rows(
                *(out.shape[0], row_grain(rows.shape[1]), _words(source), plain(order)),
                *(plain(batch), rows, batch_size),
            )

    def load_at(self, source: Array, index: Array, out: Array) -> None:
        """Directly."""
        load_at.run(0, 1, plain(source), plain(index), out)

    def store_at(self, value: Array, index: Array, out: Array) -> None:
        """Directly."""
        store_at.run(0, 1, plain(value), plain(index), out)

    def increment(self, counter: Array) -> None:
        """Directly."""
        increment.run(0, 1, counter)

    def argmax(self, x: Array, out: Array) -> None:
        """Row by row."""
        argmax(x.shape[0], row_grain(x.shape[1]), plain(x), out)

    def count_correct(self, logits: Array, labels: Array, count: Array) -> None:
        """Without storing the predictions."""
        grain = row_grain(logits.shape[1])
        partial = scratch(-(-logits.shape[0] // grain))
        count_correct(partial.size, 1, plain(logits), plain(labels), partial, grain)
        total_count.run(0, 1, partial, count)

    def count_correct_binary(self, logits: Array, targets: Array, count: Array) -> None:
        """One pass."""
        partial = scratch(-(-logits.size // GRAIN))
        count_correct_binary(partial.size, 1, flat(logits), flat(targets), partial, GRAIN)
        total_count.run(0, 1, partial, count)
