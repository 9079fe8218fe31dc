"""One tile of a product: a few rows by one or two lines of sums, which stay in registers.

For matrices as they come: strides are numbers at run time, a result may be transposed, and tiles have the height
that leaves least over. Where operands are laid out on purpose, less is needed, and more gained: see `images.sums`
for rows a constant distance apart, and `sequences.forward` for sums that a formula takes over from registers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nnx_numba.lanes import WORD
from nnx_numba.lines import REGISTER_BYTES, REGISTERS, Lines, Strided, moved
from nnx_numba.vectors import loop

HEIGHTS: tuple[int, ...] = (2, 4, 6, 8, 10) if REGISTERS == 32 else (2, 4, 6)
"""Rows of a tile: its sums, two lines a row, a pair of lines of the panel and a broadcast element fit registers."""

TALL: int = 16 if REGISTERS == 32 else 10
"""Rows of a tile of one line, where the result is no wider."""


@dataclass(frozen=True)
class Strip:
    """Lines of the right operand, and what is known of the columns above them.

    Attributes:
        address, stride: the first of `deep` pairs of lines, and bytes to the next.
        rest: columns from here to the end of the result; the lines hold at most as many.
        masks, starts: for both lines, the columns that there are, and what sums begin with.
        fresh: whether sums begin here, or go on from what the result holds.
    """

    address: Any
    stride: Any
    deep: Any
    rest: Any
    masks: list[Any]
    starts: list[Any]
    fresh: Any


class Tile:
    """Emits tiles that add left @ panel to the result."""

    def __init__(self, lines: Lines, direct: Any) -> None:
        """Take whether elements of a row of the result adjoin; else those of a column do."""
        self.lines, self.builder, self.direct = lines, lines.builder, direct
        self._groups = range(0, TALL, lines.lanes)
        self._sums = lines.memory(2 * len(self._groups) * lines.lanes)

    def emit(self, left: Strided, panel: Strip, out: Strided, valid: Any, height: Any) -> None:
        """Add to `valid` rows of out, from its first column on, by the code for tiles of `height` rows."""
        builder = self.builder
        going_on = builder.and_(builder.not_(self.direct), builder.not_(panel.fresh))
        with builder.if_then(going_on):
            self._collect(panel, out, valid)
        end = builder.append_basic_block("end")
        default = builder.append_basic_block("default")
        switch = builder.switch(height, default)
        for rows in (*HEIGHTS, TALL):
            block = builder.append_basic_block(f"rows{rows}")
            switch.add_case(WORD(rows), block)
            builder.position_at_end(block)
            self._run_narrow_or_wide(left, panel, out, valid, rows)
            builder.branch(end)
        builder.position_at_end(default)
        builder.unreachable()
        builder.position_at_end(end)
        with builder.if_then(builder.not_(self.direct)):
            self._deliver(panel, out, valid)

    def _run_narrow_or_wide(self, left: Strided, panel: Strip, out: Strided, valid: Any, rows: int) -> None:
        if rows == TALL:
            self._run(left, panel, out, valid, (rows, 1))
            return
        narrow = self.builder.icmp_signed("<=", panel.rest, WORD(self.lines.lanes))
        with self.builder.if_else(narrow) as (one, two):
            with one:
                self._run(left, panel, out, valid, (rows, 1))
            with two:
                self._run(left, panel, out, valid, (rows, 2))

    def _run(self, left: Strided, panel: Strip, out: Strided, valid: Any, size: tuple[int, int]) -> None:
        builder, lines = self.builder, self.lines
        rows, width = size
        within = [builder.icmp_signed("<", WORD(n), valid) for n in range(rows)]
        targets = [self._target(out, n, within[n]) for n in range(rows)]
        sources = [
            moved(builder, left.address, (builder.select(within[n], WORD(n), WORD(0)), left.row))
            for n in range(rows)
        ]
        sums = [[lines.variable() for _ in range(width)] for _ in range(rows)]
        self._begin(sums, targets, panel, builder.mul(WORD(rows), out.row))
        with loop(builder, WORD(0), panel.deep) as k:
            place = moved(builder, panel.address, (k, panel.stride))
            line = [lines.load(builder.add(place, WORD(n * REGISTER_BYTES)), panel.masks[n]) for n in range(width)]
            step = builder.mul(k, left.column)
            for source, row in zip(sources, sums, strict=True):
                factor = lines.scalar(builder.add(source, step))
                for n, total in enumerate(row):
                    total.set(lines.added(total.get(), factor, line[n]))
        for target, row in zip(targets, sums, strict=True):
            for n, total in enumerate(row):
                lines.store(total.get(), builder.add(target, WORD(n * REGISTER_BYTES)), panel.masks[n])

    def _target(self, out: Strided, row: int, within: Any) -> Any:
        """Where a row of sums goes: to the result, or, transposed or beyond the last row, aside."""
        builder = self.builder
        aside = builder.add(self._sums, WORD(2 * REGISTER_BYTES * row))
        place = moved(builder, out.address, (WORD(row), out.row))
        return builder.select(builder.and_(self.direct, within), place, aside)

    def _begin(self, sums: Any, targets: list[Any], panel: Strip, below: Any) -> None:
        """Set the sums; where they go on, ask for what the tile `below`, so many bytes further, goes on from."""
        with self.builder.if_else(panel.fresh) as (fresh, going_on):
            with fresh:
                for row in sums:
                    for total, start in zip(row, panel.starts, strict=False):
                        total.set(start)
            with going_on:
                for target, row in zip(targets, sums, strict=True):
                    for n, total in enumerate(row):
                        place = self.builder.add(target, WORD(n * REGISTER_BYTES))
                        total.set(self.lines.load(place, panel.masks[n]))
                        self.lines.fetch(self.builder.add(place, below))

    def _aside(self, line: int, group: int, lane: int) -> Any:
        return self.builder.add(self._sums, WORD(REGISTER_BYTES * (2 * (group + lane) + line)))

    def _collect(self, panel: Strip, out: Strided, valid: Any) -> None:
        """Read columns of the result, whose elements adjoin, into rows of sums aside."""
        lines = self.lines
        for line in range(2):
            for group in self._groups:
                columns = [lines.load(place, mask) for place, mask in self._columns(panel, out, valid, line, group)]
                for lane, found in enumerate(lines.transposed(columns)):
                    lines.store(found, self._aside(line, group, lane))

    def _deliver(self, panel: Strip, out: Strided, valid: Any) -> None:
        """Write rows of sums to columns of the result."""
        lines = self.lines
        for line in range(2):
            for group in self._groups:
                rows = [lines.load(self._aside(line, group, lane)) for lane in range(lines.lanes)]
                places = self._columns(panel, out, valid, line, group)
                for (place, mask), found in zip(places, lines.transposed(rows), strict=True):
                    lines.store(found, place, mask)

    def _columns(self, panel: Strip, out: Strided, valid: Any, line: int, group: int) -> list[tuple[Any, Any]]:
        """Where the columns below a line are, and which rows of a group there are; none beyond the last column."""
        builder, lines = self.builder, self.lines
        rows = lines.mask(builder.sub(valid, WORD(group)))
        found = []
        for lane in range(lines.lanes):
            column = WORD(line * lines.lanes + lane)
            within = builder.icmp_signed("<", column, panel.rest)
            place = builder.select(within, out.at(builder, WORD(group), column), out.address)
            found.append((place, lines.mask_if(within, rows)))
        return found
