"""Recurrent networks forward: a block of sequences goes through all of its steps on one thread.

The weights are packed into panels once: lines of the same units lie side by side, one line for each gate, so that
the sums of all gates of a few rows come to be in registers together, and the cell follows while they are at hand.
Sequences do not depend on each other; the steps of one need no other thread.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nnx_numba.cells import Cell
from nnx_numba.internals import types
from nnx_numba.jit import intrinsic
from nnx_numba.lanes import WORD, Value
from nnx_numba.lines import REGISTER_BYTES, REGISTERS, Lines, Strided, moved
from nnx_numba.packing import pack
from nnx_numba.sequences import Grid, States, Time, columns, grids
from nnx_numba.vectors import loop, smaller

BLOCK = 64
"""Rows that go through a step together, so that a panel in the first-level cache serves them all."""


def height(lines: int) -> int:
    """Return the rows of a tile with so many lines of sums: a power of two, at most 8, that fits the registers."""
    room = (REGISTERS - lines - 1) // lines
    return next(rows for rows in (8, 4, 2, 1) if rows <= room)


def run_down(lines: Lines, sums: list[list[Any]], left: list[Any], panel: Any, deep: Any) -> None:
    """Add the product of rows of elements and a panel of lines to sums in registers."""
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
    """The arrays of a run forward; what is not given has no rows.

    Attributes:
        xw: inputs (N, T, parts H); panels: packed weights; bias: (parts H,).
        first, each, last: for every state, (N, H) before the first step, (N, T, H) after each, (N, H) after the last.
        gates: (N, T, gates H).
    """

    xw: Grid
    panels: Grid
    bias: Grid
    first: list[Grid]
    each: list[Grid]
    last: list[Grid]
    gates: Grid


class Forward:
    """Emits the steps of some rows. The state h has two slots, taken in turn: all rows of one tile are read."""

    def __init__(self, lines: Lines, cell: Cell, run: Run, time: Time, states: States, alpha: Any) -> None:
        """Take the arrays, and the number that goes to the formula."""
        self._lines, self._builder, self._cell = lines, lines.builder, cell
        self._run, self._time, self._states, self._alpha = run, time, states, alpha
        self._units, self._rows = run.each[0].extents[2], height(cell.parts)
        self._sums = lines.memory(self._rows * cell.parts)

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
        builder = self._builder
        t, slot = self._time.taken(number), builder.and_(number, WORD(1))
        with columns(self._lines, self._units) as (column, mask), loop(builder, top, end, self._rows) as row:
            self._tile(row, smaller(builder, WORD(self._rows), builder.sub(end, row)), column, mask, slot)
            with loop(builder, WORD(0), smaller(builder, WORD(self._rows), builder.sub(end, row))) as r:
                self._finish(r, builder.add(row, r), t, column, mask, slot)

    def _tile(self, row: Any, valid: Any, column: Any, mask: Any, slot: Any) -> None:
        """Leave h U + b of a few rows, the last once more for those beyond, in lines aside."""
        lines, builder, parts = self._lines, self._builder, self._cell.parts
        last = builder.sub(valid, WORD(1))
        rows = [builder.add(row, smaller(builder, WORD(r), last)) for r in range(self._rows)]
        left = [self._states.at(slot, place, WORD(0)) for place in rows]
        begin = [self._bias(part, column, mask) for part in range(parts)]
        sums = [[lines.variable() for _ in range(parts)] for _ in rows]
        for line in sums:
            for total, start in zip(line, begin, strict=True):
                total.set(start)
        depth = builder.mul(column, builder.mul(self._units, WORD(parts * lines.size)))
        run_down(lines, sums, left, builder.add(self._run.panels.address, depth), self._units)
        for n, total in enumerate(total for line in sums for total in line):
            lines.store(total.get(), builder.add(self._sums, WORD(n * REGISTER_BYTES)))

    def _bias(self, part: int, column: Any, mask: Any) -> Any:
        given = self._run.bias.given
        place = self._run.bias.at(self._column(part, column))
        place = self._builder.select(given, place, self._run.panels.address)
        return self._lines.load(place, self._lines.mask_if(given, mask))

    def _column(self, part: int, column: Any) -> Any:
        """The column of one part of several that lie side by side."""
        return self._builder.add(column, self._builder.mul(self._units, WORD(part)))

    def _finish(self, r: Any, row: Any, t: Any, column: Any, mask: Any, slot: Any) -> None:
        """Run the cell, or, where the sequence is over, leave the state as it is, and zeros."""
        lines, builder, cell = self._lines, self._builder, self._cell
        other = builder.xor(slot, WORD(1))
        places = [self._states.at(2 * n if n else slot, row, column) for n in range(cell.states)]
        targets = [self._states.at(2 * n if n else other, row, column) for n in range(cell.states)]
        kept = [each.at(row, t, column) for each in self._run.each]
        kept += [self._run.gates.at(row, t, self._column(part, column)) for part in range(cell.gates)]
        before = [lines.load(place) for place in places]
        real = self._time.is_real(t, self._time.length(row))
        with builder.if_else(real) as (then, otherwise):
            with then:
                stored = moved(builder, self._sums, (r, WORD(cell.parts * REGISTER_BYTES)))
                sums = [lines.load(builder.add(stored, WORD(n * REGISTER_BYTES))) for n in range(cell.parts)]
                columns = [self._run.xw.at(row, t, self._column(part, column)) for part in range(cell.parts)]
                inputs = [lines.load(place, mask) for place in columns]
                states, gates = cell.forward(*map(self._values, (sums, inputs, before)), self._alpha)
                for value, place in zip(states, targets, strict=True):
                    lines.store(value.llvm, place)
                for value, place in zip([*states, *gates], kept, strict=True):
                    lines.store(value.llvm, place, mask)
            with otherwise:
                for line, place in zip(before, targets, strict=True):
                    lines.store(line, place)
                for place in kept:
                    lines.store(lines.zeros, place, mask)

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
