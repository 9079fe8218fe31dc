"""Recurrent networks backward: a block of sequences goes back through all of its steps on one thread.

Each step is a pass over its rows, which leaves the slopes of the products aside, and one product with the weights,
packed for this way, that adds what they ask of the state before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nnx_numba.grids import Grid, columns, grids
from nnx_numba.internals import types
from nnx_numba.jit import intrinsic
from nnx_numba.lanes import WORD, Value
from nnx_numba.lines import REGISTER_BYTES, Lines, Strided, moved
from nnx_numba.packing import pack
from nnx_numba.sequences.cells import Cell
from nnx_numba.sequences.forward import BLOCK, PANEL_BYTES, height, run_down
from nnx_numba.sequences.states import States, Time
from nnx_numba.vectors import loop, smaller

LINES = 2
"""Lines of a packed panel."""

HEIGHT = height(LINES)
"""Rows of a tile."""


@dataclass(frozen=True)
class Back:
    """The arrays of a run backward; what is not given has no rows, and of what a cell has none there is no array.

    Attributes:
        panels: packed weights.
        first, each: for every state, (N, H) before the first step, (N, T, H) after each.
        gates: (N, T, gates H), if any.
        dy, dlast: gradients of the states after each step (N, T, H), and of every state after the last (N, H).
        slopes: gradients of the inputs (N, T, parts H), and of the products h U if they differ.
        before: takes the state h before each step (N, T, H), and 0 at padding.
        dfirst: gradients of the states before the first step (N, H).
    """

    panels: Grid
    first: list[Grid]
    each: list[Grid]
    gates: list[Grid]
    dy: Grid
    dlast: list[Grid]
    slopes: list[Grid]
    before: Grid
    dfirst: list[Grid]


class Backward:
    """Emits the steps of some rows. For every state there are two slots: its gradient, and the first of all."""

    def __init__(
        self, lines: Lines, cell: Cell, back: Back, time: Time, states: States, slopes: Grid, alpha: Any
    ) -> None:
        """Take the arrays, memory for a step's slopes (N, padded(parts H)), and the number for the formula."""
        self._lines, self._builder, self._cell = lines, lines.builder, cell
        self._back, self._time, self._states, self._slopes, self._alpha = back, time, states, slopes, alpha
        self._units = back.each[0].extents[2]
        self._depth = self._builder.mul(self._units, WORD(cell.parts))

    def emit(self, begin: Any, stop: Any) -> None:
        """Go through blocks of rows."""
        builder, count = self._builder, self._time.count
        with loop(builder, begin, stop, BLOCK) as top:
            end = smaller(builder, builder.add(top, WORD(BLOCK)), stop)
            for n, (gradient, first) in enumerate(zip(self._back.dlast, self._back.first, strict=True)):
                self._states.fill(2 * n, gradient, top, end)
                self._states.fill(2 * n + 1, first, top, end)
            with loop(builder, WORD(0), count) as number:
                t = self._time.taken(builder.sub(builder.sub(count, WORD(1)), number))
                with loop(builder, top, end) as row:
                    self._slope(row, t)
                self._product(top, end)
            for n, target in enumerate(self._back.dfirst):
                self._states.deliver(2 * n, target, top, end)

    def _slope(self, row: Any, t: Any) -> None:
        """Run a step of one sequence back, or, where it is padding, leave the gradients as they are, and zeros."""
        lines, length = self._lines, self._time.length(row)
        with self._builder.if_else(self._time.is_real(t, length)) as (then, otherwise):
            with then:
                states = self._states_before(row, t, length)
                with columns(lines, self._units) as (column, mask):
                    self._line(row, t, column, mask, states)
            with otherwise, columns(lines, self._units) as (column, mask):
                for place in (*self._targets(row, t, column), self._back.before.at(row, t, column)):
                    lines.store(lines.zeros, place, mask)

    def _states_before(self, row: Any, t: Any, length: Any) -> list[Any]:
        """Where the states lie that a step began with."""
        earlier = self._time.before(t)
        real = self._time.is_real(earlier, length)
        return [
            self._builder.select(real, each.at(row, earlier), self._states.at(2 * n + 1, row, WORD(0)))
            for n, each in enumerate(self._back.each)
        ]

    def _line(self, row: Any, t: Any, column: Any, mask: Any, states: list[Any]) -> None:
        """Make the slopes of one line of units."""
        lines, builder, cell, back = self._lines, self._builder, self._cell, self._back
        before = [lines.load(moved(builder, place, (column, WORD(lines.size))), mask) for place in states]
        lines.store(before[0], back.before.at(row, t, column), mask)
        kept = [array.at(row, t, self._column(n, column)) for array in back.gates for n in range(cell.gates)]
        gates = [lines.load(place, mask) for place in kept]
        after = [lines.load(each.at(row, t, column), mask) for each in back.each]
        places = [self._states.at(2 * n, row, column) for n in range(cell.states)]
        gradients = self._values([lines.load(place) for place in places])
        gradients[0] = gradients[0] + self._asked(row, t, column, mask)
        held, states_after, states_before = map(self._values, (gates, after, before))
        made = cell.backward(held, states_after, states_before, gradients, self._alpha)
        for value, place in zip(made.states, places, strict=True):
            lines.store(value.llvm, place)
        found = [*made.inputs, *made.products][: cell.parts * len(back.slopes)]
        for value, place in zip([*found, *made.products], self._targets(row, t, column), strict=True):
            lines.store(value.llvm, place, mask)

    def _asked(self, row: Any, t: Any, column: Any, mask: Any) -> Value:
        """The gradient of the state after this step itself, if it is given."""
        given = self._back.dy.given
        place = self._builder.select(given, self._back.dy.at(row, t, column), self._back.panels.address)
        return Value(self._builder, self._lines.load(place, self._lines.mask_if(given, mask)))

    def _targets(self, row: Any, t: Any, column: Any) -> list[Any]:
        """Where the slopes of inputs go, those of products, and those again, close together, for the product."""
        parts = [self._column(part, column) for part in range(self._cell.parts)]
        for_each = [array.at(row, t, part) for array in self._back.slopes for part in parts]
        return for_each + [self._slopes.at(row, part) for part in parts]

    def _column(self, part: int, column: Any) -> Any:
        return self._builder.add(column, self._builder.mul(self._units, WORD(part)))

    def _product(self, top: Any, end: Any) -> None:
        """Add slopes @ U.T to the gradients of h, piece by piece of each panel."""
        builder, lanes = self._builder, self._lines.lanes
        stretch = PANEL_BYTES // (LINES * REGISTER_BYTES)
        with (
            loop(builder, WORD(0), self._units, LINES * lanes) as column,
            loop(builder, WORD(0), self._depth, stretch) as level,
        ):
            piece = column, level, smaller(builder, builder.sub(self._depth, level), WORD(stretch))
            one = builder.icmp_signed("<=", builder.sub(self._units, column), WORD(lanes))
            with loop(builder, top, end, HEIGHT) as row, builder.if_else(one) as (narrow, wide):
                with narrow:
                    self._tile(row, end, piece, 1)
                with wide:
                    self._tile(row, end, piece, LINES)

    def _tile(self, row: Any, end: Any, piece: tuple[Any, Any, Any], width: int) -> None:
        """Add to a few rows; those beyond the last are the last once more."""
        lines, builder = self._lines, self._builder
        column, level, deep = piece
        last = builder.sub(end, WORD(1))
        rows = [smaller(builder, builder.add(row, WORD(r)), last) for r in range(HEIGHT)]
        left = [self._slopes.at(place, level) for place in rows]
        targets = [self._states.at(0, place, column) for place in rows]
        sums = [[lines.variable() for _ in range(width)] for _ in rows]
        places = [builder.add(target, WORD(n * REGISTER_BYTES)) for target in targets for n in range(width)]
        totals = [total for line in sums for total in line]
        for total, place in zip(totals, places, strict=True):
            total.set(lines.load(place))
        panel = moved(builder, self._back.panels.at(column), (level, WORD(width * REGISTER_BYTES)))
        run_down(lines, sums, left, panel, deep)
        for total, place in zip(totals, places, strict=True):
            lines.store(total.get(), place)

    def _values(self, lines: list[Any]) -> list[Value]:
        return [Value(self._builder, line) for line in lines]


def backward(cell: Cell) -> Any:
    """Make a function of rows first..last-1: `run(first, last, arrays, lengths, memory, reverse, alpha)`.

    arrays: as in `Back`; memory: (2 states, N, padded(H)) for the states, and (N, padded(parts H)) for slopes.
    """

    @intrinsic
    def run(
        _context: Any, first: Any, last: Any, arrays: Any, lengths: Any, memory: Any, reverse: Any, alpha: Any
    ) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            found = Back(*grids(context, builder, signature.args[2], arguments[2]))
            lines = Lines(builder, context.get_data_type(memory[0].dtype))
            over, (room, slopes) = (grids(context, builder, signature.args[n], arguments[n]) for n in (3, 4))
            time = Time(builder, over, found.before.extents[1], arguments[5])
            states = States(lines, room, found.each[0].extents[2])
            number = Value(builder, lines.zeros).filled(arguments[6])
            Backward(lines, cell, found, time, states, slopes, number).emit(*arguments[:2])
            return context.get_dummy_value()

        return types.none(first, last, arrays, lengths, memory, reverse, alpha), generate

    return run


@intrinsic
def pack_turned(_context: Any, first: Any, last: Any, u: Any, panels: Any) -> Any:
    """Pack panels first..last-1 of u (H, parts H) for the way backward: a few lines of columns of its transpose."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        lines = Lines(builder, context.get_data_type(u.dtype))
        weights, packed = (grids(context, builder, signature.args[n], arguments[n]) for n in (2, 3))
        units, depth = weights.extents
        with loop(builder, *arguments[:2]) as panel:
            begin = builder.mul(panel, WORD(LINES * lines.lanes))
            rest = builder.sub(units, begin)
            narrow = builder.icmp_signed("<=", rest, WORD(lines.lanes))
            stride = builder.select(narrow, WORD(REGISTER_BYTES), WORD(LINES * REGISTER_BYTES))
            source = Strided(weights.at(begin, WORD(0)), WORD(lines.size), builder.mul(depth, WORD(lines.size)))
            into = moved(builder, packed.address, (begin, builder.mul(depth, WORD(lines.size))))
            width = smaller(builder, rest, WORD(LINES * lines.lanes))
            pack(lines, source, width, depth, Strided(into, stride, WORD(lines.size)))
        return context.get_dummy_value()

    return types.none(first, last, u, panels), generate
