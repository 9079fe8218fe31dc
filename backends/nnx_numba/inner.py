"""Products with few columns and much depth, as inner products along the depth.

Vectors across twenty columns would leave a third of their lanes empty. Along the depth all lanes are full: a tile
of six rows and four columns keeps two dozen running sums of vectors, whose lanes are added up at a stretch's end.
The columns of the right operand are packed for that; the rows of the left one are read as they lie.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nnx_numba.internals import types
from nnx_numba.jit import intrinsic
from nnx_numba.lanes import WORD
from nnx_numba.lines import REGISTER_BYTES, REGISTERS, Lines, Strided, moved, words
from nnx_numba.packing import pack
from nnx_numba.vectors import loop, smaller

ROWS = 6 if REGISTERS == 32 else 2
"""Rows of a tile."""

GROUP = 4
"""Columns of a tile; columns that are left over are taken one at a time."""

MOST = 32
"""Columns that are packed at most."""

_STRETCH = 64  # lines of depth in one go: six rows of them fill half of the first-level cache
_APART = _STRETCH + 1  # lines from one packed column to the next: those a power of two apart evict each other


@dataclass(frozen=True)
class _Stretch:
    """A stretch of depth: whole registers, the elements after them, and whether sums begin here."""

    begin: Any
    whole: Any
    rest: Any
    fresh: Any


class InnerProduct:
    """Emits left @ right for some rows of out; elements of a row of left, and of out, adjoin."""

    def __init__(self, lines: Lines, left: Strided, right: Strided, out: Strided, columns: Any, depth: Any) -> None:
        """Take the operands, the columns, at most `MOST`, and the common extent, in LLVM values."""
        self.lines, self.builder, self.columns, self.depth = lines, lines.builder, columns, depth
        self.left, self.right, self.out = left, right, out
        self.element = WORD(lines.size)
        self._sums = lines.memory(-(-ROWS * GROUP // lines.lanes))
        self._packed = Strided(lines.memory(MOST * _APART), WORD(_APART * REGISTER_BYTES), self.element)

    def emit(self, begin: Any, stop: Any, bias: Any) -> None:
        """Make the rows from `begin` to before `stop`; `bias` is an address, or 0 for none."""
        builder = self.builder
        once_at_least = builder.select(builder.icmp_signed("<", self.depth, WORD(1)), WORD(1), self.depth)
        with loop(builder, WORD(0), once_at_least, _STRETCH * self.lines.lanes) as level:
            deep = smaller(builder, builder.sub(self.depth, level), WORD(_STRETCH * self.lines.lanes))
            source = Strided(self.right.at(builder, level, WORD(0)), self.right.column, self.right.row)
            pack(self.lines, source, deep, self.columns, self._packed)
            full = builder.sdiv(deep, WORD(self.lines.lanes))
            rest = builder.srem(deep, WORD(self.lines.lanes))
            stretch = _Stretch(level, full, rest, builder.icmp_signed("==", level, WORD(0)))
            grouped = builder.mul(builder.sdiv(self.columns, WORD(GROUP)), WORD(GROUP))
            with loop(builder, begin, stop, ROWS) as row:
                with loop(builder, WORD(0), grouped, GROUP) as column:
                    self._tile(stretch, (row, stop), column, GROUP, bias)
                with loop(builder, grouped, self.columns) as column:
                    self._tile(stretch, (row, stop), column, 1, bias)

    def _tile(self, stretch: _Stretch, rows: tuple[Any, Any], column: Any, width: int, bias: Any) -> None:
        """Add up one tile; a row beyond the last is the last once more."""
        builder, lines = self.builder, self.lines
        last = builder.sub(rows[1], WORD(1))
        places = [smaller(builder, builder.add(rows[0], WORD(n)), last) for n in range(ROWS)]
        left = [self.left.at(builder, place, stretch.begin) for place in places]
        right = [self._packed.at(builder, builder.add(column, WORD(n)), WORD(0)) for n in range(width)]
        sums = [[lines.variable() for _ in range(width)] for _ in range(ROWS)]
        for total in (total for row in sums for total in row):
            total.set(lines.zeros)
        with loop(builder, WORD(0), stretch.whole) as k:
            self._add(sums, left, right, builder.mul(k, WORD(REGISTER_BYTES)), None)
        with builder.if_then(builder.icmp_signed(">", stretch.rest, WORD(0))):
            self._add(sums, left, right, builder.mul(stretch.whole, WORD(REGISTER_BYTES)), lines.mask(stretch.rest))
        self._add_up([total.get() for row in sums for total in row])
        self._finish(stretch, places, column, width, bias)

    def _add_up(self, sums: list[Any]) -> None:
        """Store the lines' totals one behind the other, as many at once as there are lanes."""
        lines = self.lines
        for first in range(0, len(sums), lines.lanes):
            group = sums[first : first + lines.lanes]
            group += [lines.zeros] * (lines.lanes - len(group))
            lines.store(lines.totals(group), self.builder.add(self._sums, WORD(first * lines.size)))

    def _finish(self, stretch: _Stretch, places: list[Any], column: Any, width: int, bias: Any) -> None:
        """Add totals to what rows begin with; all are read before one is written: rows may coincide."""
        builder = self.builder
        parts = Lines(builder, self.lines.element, width * self.lines.size)
        targets = [self.out.at(builder, place, column) for place in places]
        begun = [self._start(parts, stretch, target, column, bias) for target in targets]
        for n, (start, target) in enumerate(zip(begun, targets, strict=True)):
            total = parts.load(builder.add(self._sums, WORD(n * width * parts.size)))
            parts.store(builder.fadd(start, total), target)

    def _add(self, sums: Any, left: list[Any], right: list[Any], step: Any, mask: Any) -> None:
        lines, builder = self.lines, self.builder
        columns = [lines.load(builder.add(place, step), mask) for place in right]
        for place, row in zip(left, sums, strict=True):
            factor = lines.load(builder.add(place, step), mask)
            for total, column in zip(row, columns, strict=True):
                total.set(lines.added(total.get(), factor, column))

    def _start(self, parts: Lines, stretch: _Stretch, held: Any, column: Any, bias: Any) -> Any:
        """What the sums of a row begin with: the bias or 0, then what the result holds."""
        builder = self.builder
        has_bias = builder.icmp_signed("!=", bias, WORD(0))
        offset = moved(builder, bias, (column, self.element))
        place = builder.select(builder.and_(stretch.fresh, has_bias), offset, held)
        counts = builder.or_(builder.not_(stretch.fresh), has_bias)
        return builder.select(counts, parts.load(place), parts.zeros)


@intrinsic
def multiply_inner(
    _context: Any, left: Any, right: Any, out: Any, rows: Any, columns: Any, depth: Any, bias: Any
) -> Any:
    """Add up rows of left @ right as inner products.

    left, right, out: (address, bytes to the next row, to the next column); rows: (first, stop); bias: an array
    with one element for each column, or of no elements.
    """

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        lines = Lines(builder, context.get_data_type(bias.dtype))
        left, right, out = (Strided(*words(builder, arguments[n], 3)) for n in range(3))
        offset = lines.optional(context.make_array(bias)(context, builder, arguments[6]))
        first, stop = words(builder, arguments[3], 2)
        InnerProduct(lines, left, right, out, arguments[4], arguments[5]).emit(first, stop, offset)
        return context.get_dummy_value()

    return types.none(left, right, out, rows, columns, depth, bias), generate
