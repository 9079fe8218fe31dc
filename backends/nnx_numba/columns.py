"""Sums and statistics of columns.

They run over panels of columns and blocks of rows: a block's sums are taken in the arrays' own type,
relative to a shift near the column's mean, so that nothing cancels; blocks are merged in float64 (Chan, Golub &
LeVeque 1979). The statistics thus cost one pass over memory and lose no digits to a large mean.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from llvmlite import ir

from nnx_numba.hostarrays import GRAIN
from nnx_numba.lanes import INTERLEAVED, WORD, Formula, Value, where
from nnx_numba.sweeps import row_pass
from nnx_numba.vectors import LINE, TOTAL, Accumulator, Lanes, Row, lanes_of, loop, size_of, smaller

PANEL = 16
"""Columns of one unit of work."""

WIDTH = 1024  # columns that are worked on together at most: the size of buffers on the stack

_BLOCK = 64  # rows whose sums are taken in the arrays' own type


def panels(rows: int, columns: int) -> tuple[int, int]:
    """Number of panels, and panels to a grain: at least GRAIN elements, at most a quarter of all."""
    count = -(-columns // PANEL)
    return count, max(GRAIN // max(rows * PANEL, 1), min(WIDTH // PANEL, count // 4), 1)


@dataclass(frozen=True)
class Matrix:
    """A contiguous matrix."""

    builder: Any
    data: Any
    rows: Any
    columns: Any
    element: Any

    def at(self, i: Any, j: Any) -> Any:
        """Return the address of an element."""
        place = self.builder.add(self.builder.mul(i, self.columns), j)
        return self.builder.gep(self.data, [place], source_etype=self.element)


def matrix_of(context: Any, builder: Any, kind: Any, value: Any) -> Matrix:
    """Return an array of two dimensions."""
    array = context.make_array(kind)(context, builder, value)
    rows, columns = (builder.extract_value(array.shape, n) for n in range(2))
    return Matrix(builder, array.data, rows, columns, context.get_data_type(kind.dtype))


@dataclass(frozen=True)
class Block:
    """Rows start..stop-1."""

    start: Any
    stop: Any


@dataclass(frozen=True)
class Work:
    """A formula, and what it works on."""

    formula: Formula
    block: Block
    outs: tuple[Matrix, ...]
    ins: tuple[Matrix, ...]
    columns: tuple[Row, ...]
    sums: tuple[Row, ...]
    of_rows: tuple[Row, ...]


class Panel:
    """Columns begin..begin + width - 1 of some matrices, worked on in strips of a few registers."""

    def __init__(self, builder: Any, element: Any, begin: Any, width: Any) -> None:
        """Take the type of the matrices' elements, and the columns."""
        self.builder, self.element, self.begin, self.width = builder, element, begin, width
        self._lanes = lanes_of(element)

    def part(self, row: Row) -> Row:
        """Return the panel's part of an array with an element for every column."""
        return Row(self.builder, row.at(self.begin), self.width, row.element)

    def buffer(self, element: Any) -> Row:
        """Return working memory with an element for every column of the panel."""
        kind = ir.ArrayType(element, WIDTH + LINE // size_of(element))
        with self.builder.goto_entry_block():
            data = self.builder.alloca(kind)  # Numba's own way to allocate would clear it at every call
        data.align = LINE
        pointer = self.builder.bitcast(data, element.as_pointer())
        return Row(self.builder, pointer, self.width, element, padded=True)

    def zeros(self, element: Any) -> Row:
        """Return a buffer of zeros."""
        row = self.buffer(element)
        row_pass(self.builder, lambda x: x.constant(0.0), [row], [row], [])
        return row

    @contextmanager
    def blocks(self, rows: Any) -> Iterator[Block]:
        """Emit what the context does for blocks of rows, from the first to the last."""
        with loop(self.builder, WORD(0), rows, _BLOCK) as start:
            yield Block(start, smaller(self.builder, self.builder.add(start, WORD(_BLOCK)), rows))

    @contextmanager
    def blocks_backwards(self, rows: Any) -> Iterator[Block]:
        """Emit it from the last block to the first: what a pass before read last is still in cache."""
        builder = self.builder
        with loop(builder, WORD(0), rows, _BLOCK) as done:
            stop = builder.sub(rows, done)
            start = builder.sub(stop, WORD(_BLOCK))
            positive = builder.icmp_signed(">", start, WORD(0))
            yield Block(builder.select(positive, start, WORD(0)), stop)

    def over(
        self,
        formula: Formula,
        block: Block,
        outs: Sequence[Matrix],
        ins: Sequence[Matrix],
        columns: Sequence[Row],
        sums: Sequence[Row] = (),
        of_rows: Sequence[Row] = (),
    ) -> None:
        """Apply a formula to a block of rows.

        It takes a Value of each of ins, of the per-column and of the per-row values, and returns one for each of
        outs, and one for each of sums, which grow by what it adds up to over the block.
        """
        work = Work(formula, block, tuple(outs), tuple(ins), tuple(columns), tuple(sums), tuple(of_rows))
        narrow = self.builder.icmp_signed("<=", self.width, WORD(self._lanes * INTERLEAVED))
        with self.builder.if_else(narrow) as (then, otherwise):
            with then:
                self._down(work)
            with otherwise:
                self._along(work)

    def _down(self, work: Work) -> None:
        """Go down columns, with the sums in registers: for rows so short that they lie close to each other."""
        builder = self.builder
        with loop(builder, WORD(0), self.width, self._lanes) as j:
            lanes = Lanes(builder, self._lanes, builder.sub(self.width, j))
            values = [column.load(lanes, j).to(self.element) for column in work.columns]
            totals = [Accumulator(builder, TOTAL, self.element, lanes.count) for _ in work.sums]
            with loop(builder, work.block.start, work.block.stop) as i:
                for total, value in zip(totals, self._made(work, lanes, i, j, values), strict=True):
                    total.add(value, Lanes(builder, self._lanes))  # unmasked, so that it is rounded as in a row
            for row, total in zip(work.sums, totals, strict=True):
                grown = row.load(lanes, j) + total.value().to(row.element)
                row.store(lanes, grown, j)

    def _along(self, work: Work) -> None:
        """Go along rows, as the processor expects it, with the sums in the nearest cache.

        Strips of rows 4096 bytes apart would all compete for the same few places in it.
        """
        builder, wide = self.builder, self._lanes * INTERLEAVED
        totals = [self.zeros(self.element) for _ in work.sums]
        whole = builder.and_(self.width, WORD(-wide))
        with loop(builder, work.block.start, work.block.stop) as i:
            with loop(builder, WORD(0), whole, wide) as j:
                self._cell(work, Lanes(builder, wide), i, j, totals)
            with loop(builder, whole, self.width, self._lanes) as j:
                self._cell(work, Lanes(builder, self._lanes, builder.sub(self.width, j)), i, j, totals)
        for row, total in zip(work.sums, totals, strict=True):
            row_pass(builder, lambda a, b: a.widened() + b.widened(), [row], [total, row], [])

    def _cell(self, work: Work, lanes: Lanes, i: Any, j: Any, totals: list[Row]) -> None:
        values = [column.load(lanes, j).to(self.element) for column in work.columns]
        for total, value in zip(totals, self._made(work, lanes, i, j, values), strict=True):
            grown = total.load(lanes, j) + value
            total.store(lanes, grown, j)

    def _made(self, work: Work, lanes: Lanes, i: Any, j: Any, values: list[Value]) -> tuple[Value, ...]:
        """Store what goes to outs, and return what goes to sums."""
        place = self.builder.add(self.begin, j)
        elements = [lanes.load(matrix.at(i, place), self.element) for matrix in work.ins]
        of_row = [lanes.filled(self.builder.load(row.at(i), typ=row.element)) for row in work.of_rows]
        made = work.formula(*elements, *values, *of_row)
        made = made if isinstance(made, tuple) else (made,)
        for matrix, value in zip(work.outs, made, strict=False):
            lanes.store(value, matrix.at(i, place), self.element)
        return made[len(work.outs) :]


def finite_or_zero(x: Value) -> Value:
    """A shift: x itself unless it is infinite or NaN."""
    return where((x - x).equals(0.0), x, 0.0)


@dataclass(frozen=True)
class Statistics:
    """Of each column: a base near its values, the sum of deviations from it, and the mean's squared deviations."""

    base: Row
    sums: Row
    spread: Row


def _first_shift(first: Value) -> tuple[Value, ...]:
    base = finite_or_zero(first)
    zero = first.constant(0.0)
    return base, base, zero, zero, zero, zero


def _deviations(x: Value, shift: Value) -> tuple[Value, Value]:
    d = x - shift
    return d, d * d


def _merge(shift: Value, base: Value, *others: Value) -> tuple[Value, ...]:
    """Add a block of n rows to those `before`; begin the next with a new shift and empty sums."""
    s, q, sums, spread, n, before = others
    step = shift.widened() - base.widened()
    gap = step + s / n - sums / where(before > 0.0, before, 1.0)
    inner = q - s * s / n
    spread = spread + where(inner < 0.0, 0.0, inner) + gap * gap * (before * n / (before + n))
    sums = sums + (n * step + s)
    empty = s.constant(0.0)
    return finite_or_zero((base.widened() + sums / (before + n)).like(base)), empty, empty, sums, spread


def column_statistics(panel: Panel, x: Matrix) -> Statistics:
    """Emit one pass over the panel."""
    builder, real, wide = panel.builder, x.element, ir.DoubleType()
    base, shift = panel.buffer(real), panel.buffer(real)
    s, q, sums, spread = (panel.buffer(wide) for _ in range(4))
    first = Row(builder, x.at(WORD(0), panel.begin), panel.width, real)
    row_pass(builder, _first_shift, [base, shift, s, q, sums, spread], [first], [])
    with panel.blocks(x.rows) as block:
        panel.over(_deviations, block, [], [x], [shift], [s, q])
        counts = [builder.sitofp(count, wide) for count in (builder.sub(block.stop, block.start), block.start)]
        row_pass(builder, _merge, [shift, s, q, sums, spread], [shift, base, s, q, sums, spread], counts)
    return Statistics(base, sums, spread)
