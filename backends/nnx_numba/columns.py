"""Sums and statistics of columns.

They run over panels of columns and blocks of rows: a block's sums are taken in the arrays' own type,
relative to a shift near the column's mean, so that nothing cancels; blocks are merged in float64 (Chan, Golub &
LeVeque 1979). The statistics thus cost one pass over memory and lose no digits to a large mean.
"""

from __future__ import annotations

from nnx.interface import Array
from typing import Any as Real
from nnx_numba.instructions import number
zero, one = number(0.0), number(1.0)
from nnx_numba.hostarrays import GRAIN
from nnx_numba.instructions import stack
from nnx_numba.jit import device

PANEL = 16
"""Columns of one unit of work."""

WIDTH = 1024  # columns that are worked on together at most: the size of buffers on the stack
HEIGHT = 32  # rows of a block


@device
def finite_or_zero(x: Real) -> Real:
    """A shift: x itself unless it is infinite or NaN."""
    return x if x - x == zero(x) else zero(x)


@device
def clear(buffer: Array, size: int) -> None:
    """Set the first `size` elements to 0."""
    for j in range(size):
        buffer[j] = 0


@device
def add_block(x: Array, start: int, stop: int, begin: int, shift: Array, s: Array, q: Array) -> None:
    """Sums and sums of squares of the columns in rows start..stop-1, relative to the shift."""
    clear(s, shift.size)
    clear(q, shift.size)
    for i in range(start, stop):
        row = x[i][begin : begin + shift.size]
        for j in range(row.size):
            d = row[j] - shift[j]
            s[j] += d
            q[j] += d * d


@device
def merge_block(
    before: int, rows: int, shift: Array, base: Array, s: Array, q: Array, sums: Array, spread: Array
) -> None:
    """Add a block to the sums, relative to the base, and the squared deviations of the `before` rows above."""
    for j in range(shift.size):
        sum_of_block = float(s[j])
        inner = float(q[j]) - sum_of_block * sum_of_block / rows
        inner = 0.0 if inner < 0 else inner
        step = float(shift[j]) - float(base[j])
        if before > 0:
            gap = step + sum_of_block / rows - sums[j] / before
            inner += gap * gap * before * rows / (before + rows)
        spread[j] += inner
        sums[j] += rows * step + sum_of_block


@device
def column_statistics(x: Array, begin: int, mean: Array, rest: Array, spread: Array) -> None:
    """Mean, what rounding took from it, and squared deviations of as many columns as mean has, from `begin` on."""
    zeros = x.dtype.type(0)
    base, shift, s, q = stack(zeros, WIDTH), stack(zeros, WIDTH), stack(zeros, WIDTH), stack(zeros, WIDTH)
    rows, width = x.shape[0], mean.size
    shift = shift[:width]
    clear(rest, width)
    clear(spread, width)
    for j in range(width):
        base[j] = finite_or_zero(x[0, begin + j])
    for start in range(0, rows, HEIGHT):
        for j in range(width):
            shift[j] = finite_or_zero(shift.dtype.type(base[j] + rest[j] / max(start, 1)))
        stop = min(start + HEIGHT, rows)
        add_block(x, start, stop, begin, shift, s, q)
        merge_block(start, stop - start, shift, base, s, q, rest, spread)
    for j in range(width):
        mean[j] = base[j] + rest[j] / rows
        rest[j] = rest[j] / rows - (float(mean[j]) - float(base[j]))


@device
def add_products(x: Array, dy: Array, rows: tuple[int, int], begin: int, mean: Array, s: Array, q: Array) -> None:
    """Sums of dy and of dy (x - mean) over a block of rows."""
    clear(s, mean.size)
    clear(q, mean.size)
    for i in range(rows[0], rows[1]):
        row, slope = x[i][begin : begin + mean.size], dy[i][begin : begin + mean.size]
        for j in range(row.size):
            s[j] += slope[j]
            q[j] += slope[j] * (row[j] - mean[j])


def panels(rows: int, columns: int) -> tuple[int, int]:
    """Number of panels, and panels to a grain: at least GRAIN elements, at most a quarter of all."""
    count = -(-columns // PANEL)
    return count, max(GRAIN // max(rows * PANEL, 1), min(WIDTH // PANEL, count // 4), 1)
