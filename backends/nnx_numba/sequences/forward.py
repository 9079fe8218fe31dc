"""Recurrent networks forward: a block of sequences goes through all of its steps on one thread.

The weights are packed into panels once: lines of the same units lie side by side, one line for each gate, so that
the sums of all gates of a few rows come to be in registers together, and the cell follows while they are at hand.
Sequences do not depend on each other; the steps of one need no other thread.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nnx_numba.grids import Grid, columns, grids
from nnx_numba.internals import types
from nnx_numba.jit import intrinsic
from nnx_numba.lanes import WORD, Value
from nnx_numba.lines import REGISTER_BYTES, REGISTERS, Lines, Strided, moved
from nnx_numba.packing import pack
from nnx_numba.sequences.cells import Cell
from nnx_numba.sequences.states import States, Time
from nnx_numba.vectors import loop, smaller

BLOCK = 64
"""Rows that go through a step together, so that a panel in the first-level cache serves them all."""

PANEL_BYTES = 32768
"""Of a panel, what is run down by all tiles before the rest: the first-level cache has room for it."""


def height(lines: int) -> int:
    """Return the rows of a tile with so many lines of sums: a power of two, at most 8, that fits the registers."""
    room = (REGISTERS - lines - 1) // lines
    return next(rows for rows in (8, 4, 2, 1) if rows <= room)


def run_down(lines: Lines, sums: list[list[Any]], left: list[Any], panel: Any, deep: Any) -> None:
    """Add the product of rows of elements and a panel of lines to sums in registers.

    The tiles of `tiles` and `images.sums` write their sums out; here there are as many lines to a row as a cell has
    parts, and who calls decides where sums come from and who takes them over.
    """
    builder, width = lines.builder, len(sums[0])
    with loop(builder, WORD(0), deep) as k:
        place = moved(builder, panel, (k, WORD(width * REGISTER_BYTES)))
        line = [lines.load(builder.add(place, WORD(n * REGISTER_BYTES))) for n in range(width)]
        for source, row in zip(left, sums, strict=True):
            factor = lines.scalar(moved(builder, source, (k, WORD(lines.size))))
            for total, part in zip(row, line, strict=True):
                total.set(lines.added(total.get(), factor, part))


@dataclass(frozen=True)
class Run:
    """The arrays of a run forward; what is not given has no rows, and of what a cell has none there is no array.

    Attributes:
        xw: inputs (N, T, parts H); panels: packed weights; bias: (parts H,), if any.
        first, each, last: every state before the first step (N, H), after each (N, T, H), after the last (N, H).
        gates: (N, T, gates H), if any.
    """

    xw: Grid
    panels: Grid
    bias: list[Grid]
    first: list[Grid]
    each: list[Grid]
    last: list[Grid]
    gates: list[Grid]


@dataclass(frozen=True)
class _Piece:
    """Of the panel of a line of units: the first level of depth, and how many follow."""

    column: Any
    mask: Any
    level: Any
    deep: Any


class Forward:
    """Emits the steps of some rows. The state h has two slots, taken in turn: all rows of one tile are read."""

    def __init__(self, lines: Lines, cell: Cell, run: Run, time: Time, states: States, alpha: Any) -> None:
        """Take the arrays, and the number that goes to the formula."""
        self._lines, self._builder, self._cell = lines, lines.builder, cell
        self._run, self._time, self._states, self._alpha = run, time, states, alpha
        self._units, self._rows = run.each[0].extents[2], height(cell.parts)
        memory, line = lines.memory(BLOCK * cell.parts), WORD(REGISTER_BYTES)
        self._sums = Strided(memory, WORD(cell.parts * REGISTER_BYTES), line)

    def emit(self, begin: Any, stop: Any) -> None:
        """Go through blocks of rows."""
        builder = self._builder
        with loop(builder, begin, stop, BLOCK) as top:
            end = smaller(builder, builder.add(top, WORD(BLOCK)), stop)
            for n, given in enumerate(self._run.first):
                self._states.fill(2 * n, given, top, end)
            with loop(builder, WORD(0), self._time.count) as number:
                self._step(number, top, end)
            final = builder.and_(self._time.count, WORD(1))
            for n, target in enumerate(self._run.last):
                self._states.deliver(final if n == 0 else WORD(2 * n), target, top, end)

    def _step(self, number: Any, top: Any, end: Any) -> None:
        """Go through lines of units, pieces of their panels, and tiles of rows."""
        builder, stretch = self._builder, PANEL_BYTES // (self._cell.parts * REGISTER_BYTES)
        t, slot = self._time.taken(number), builder.and_(number, WORD(1))
        with columns(self._lines, self._units) as (column, mask), loop(builder, WORD(0), self._units, stretch) as k:
            deep = smaller(builder, builder.sub(self._units, k), WORD(stretch))
            ends = builder.icmp_signed("==", builder.add(k, deep), self._units)
            with loop(builder, top, end, self._rows) as row:
                valid = smaller(builder, WORD(self._rows), builder.sub(end, row))
                parked = moved(builder, self._sums.address, (builder.sub(row, top), self._sums.row))
                sums = Strided(parked, self._sums.row, self._sums.column)
                with builder.if_then(ends), loop(builder, WORD(0), valid) as r:
                    self._fetch(builder.add(row, r), t, column)
                self._tile(_Piece(column, mask, k, deep), row, valid, sums, slot)
                with builder.if_then(ends), loop(builder, WORD(0), valid) as r:
                    self._finish(sums.at(builder, r, WORD(0)), builder.add(row, r), t, column, mask, slot)

    def _fetch(self, row: Any, t: Any, column: Any) -> None:
        """Ask for the inputs, so that they are there once the sums are."""
        for part in range(self._cell.parts):
            self._lines.fetch(self._run.xw.at(row, t, self._column(part, column)))

    def _tile(self, piece: _Piece, row: Any, valid: Any, parked: Strided, slot: Any) -> None:
        """Add h U of a few rows to the bias or to the sums aside; the last row once more for those beyond."""
        lines, builder, parts = self._lines, self._builder, self._cell.parts
        last = builder.sub(valid, WORD(1))
        rows = [builder.add(row, smaller(builder, WORD(r), last)) for r in range(self._rows)]
        left = [self._states.at(slot, place, piece.level) for place in rows]
        sums = [[lines.variable() for _ in range(parts)] for _ in rows]
        places = [[parked.at(builder, WORD(r), WORD(n)) for n in range(parts)] for r in range(self._rows)]
        cells = [cell for pair in zip(sums, places, strict=True) for cell in zip(*pair, strict=True)]
        with builder.if_else(builder.icmp_signed("==", piece.level, WORD(0))) as (fresh, going_on):
            with fresh:
                begin = [self._bias(part, piece.column, piece.mask) for part in range(parts)]
                for n, (total, _) in enumerate(cells):
                    total.set(begin[n % parts])
            with going_on:
                for total, place in cells:
                    total.set(lines.load(place))
        panel = self._run.panels.at(piece.column)
        panel = moved(builder, panel, (piece.level, WORD(parts * REGISTER_BYTES)))
        run_down(lines, sums, left, panel, piece.deep)
        for total, place in cells:
            lines.store(total.get(), place)

    def _bias(self, part: int, column: Any, mask: Any) -> Any:
        total = self._lines.zeros
        for bias in self._run.bias:
            place = self._builder.select(bias.given, bias.at(self._column(part, column)), self._run.panels.address)
            total = self._lines.load(place, self._lines.mask_if(bias.given, mask))
        return total

    def _column(self, part: int, column: Any) -> Any:
        """The column of one part of several that lie side by side."""
        return self._builder.add(column, self._builder.mul(self._units, WORD(part)))

    def _finish(self, parked: Any, row: Any, t: Any, column: Any, mask: Any, slot: Any) -> None:
        """Run the cell, or, where the sequence is over, leave the state as it is, and zeros."""
        lines, builder, cell = self._lines, self._builder, self._cell
        other = builder.xor(slot, WORD(1))
        places = [self._states.at(2 * n if n else slot, row, column) for n in range(cell.states)]
        targets = [self._states.at(2 * n if n else other, row, column) for n in range(cell.states)]
        kept = [each.at(row, t, column) for each in self._run.each]
        kept += [
            gates.at(row, t, self._column(part, column)) for gates in self._run.gates for part in range(cell.gates)
        ]
        before = [lines.load(place) for place in places]
        real = self._time.is_real(t, self._time.length(row))
        with builder.if_else(real) as (then, otherwise):
            with then:
                inputs = [self._run.xw.at(row, t, self._column(part, column)) for part in range(cell.parts)]
                given = [lines.load(place, mask) for place in inputs]
                states, gates = self._made(parked, given, before)
                self._store(states, targets, [*states, *gates], kept, mask)
            with otherwise:
                self._store(before, targets, [lines.zeros for _ in kept], kept, mask)

    def _made(self, parked: Any, given: list[Any], before: list[Any]) -> tuple[list[Any], list[Any]]:
        """Return the states after a step and its gates, of lines of inputs and of the states before."""
        numbers = range(self._cell.parts)
        sums = [self._lines.load(self._builder.add(parked, WORD(n * REGISTER_BYTES))) for n in numbers]
        products, inputs, held = map(self._values, (sums, given, before))
        states, gates = self._cell.forward(products, inputs, held, self._alpha)
        return [value.llvm for value in states], [value.llvm for value in gates]

    def _store(self, states: list[Any], targets: list[Any], values: list[Any], kept: list[Any], mask: Any) -> None:
        for line, place in zip(states, targets, strict=True):
            self._lines.store(line, place)
        for line, place in zip(values, kept, strict=True):
            self._lines.store(line, place, mask)

    def _values(self, lines: list[Any]) -> list[Value]:
        return [Value(self._builder, line) for line in lines]


def forward(cell: Cell) -> Any:
    """Make a function of rows first..last-1: `run(first, last, arrays, lengths, memory, reverse, alpha)`.

    arrays: as in `Run`; memory: (states + 1, N, padded(H)) for the states.
    """

    @intrinsic
    def run(
        _context: Any, first: Any, last: Any, arrays: Any, lengths: Any, memory: Any, reverse: Any, alpha: Any
    ) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            found = Run(*grids(context, builder, signature.args[2], arguments[2]))
            lines = Lines(builder, context.get_data_type(memory.dtype))
            over, room = (grids(context, builder, signature.args[n], arguments[n]) for n in (3, 4))
            time = Time(builder, over, found.xw.extents[1], arguments[5])
            states = States(lines, room, found.each[0].extents[2])
            number = Value(builder, lines.zeros).filled(arguments[6])
            Forward(lines, cell, found, time, states, number).emit(*arguments[:2])
            return context.get_dummy_value()

        return types.none(first, last, arrays, lengths, memory, reverse, alpha), generate

    return run


@intrinsic
def pack_gates(_context: Any, first: Any, last: Any, u: Any, panels: Any, parts: Any) -> Any:
    """Pack panels first..last-1 of u (H, parts H) for the way forward: the same line of units of every part."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        lines = Lines(builder, context.get_data_type(u.dtype))
        weights, packed = (grids(context, builder, signature.args[n], arguments[n]) for n in (2, 3))
        units, count = weights.extents[0], arguments[4]
        line = builder.mul(count, WORD(REGISTER_BYTES))
        with loop(builder, *arguments[:2]) as panel, loop(builder, WORD(0), count) as part:
            column = builder.mul(panel, WORD(lines.lanes))
            place = weights.at(WORD(0), moved(builder, column, (part, units)))
            source = Strided(place, builder.mul(weights.extents[1], WORD(lines.size)), WORD(lines.size))
            into = moved(builder, packed.address, (builder.mul(panel, units), line), (part, WORD(REGISTER_BYTES)))
            width = smaller(builder, WORD(lines.lanes), builder.sub(units, column))
            pack(lines, source, width, units, Strided(into, line, WORD(lines.size)))
        return context.get_dummy_value()

    return types.none(first, last, u, panels, parts), generate
