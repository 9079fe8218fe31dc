"""Tiles of sums whose rows lie a constant distance apart in the left operand.

All elements of a step are thus reached from one address; with a distance known only at run time, every row would
need a register of the processor, which has fewer of them than rows. That is why the tiles of `tiles`, for matrices
as they come, are less tall, and why these are tiles of their own. They also share a line among depths where the
columns would leave half of it empty.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from llvmlite import ir

from nnx_numba.lanes import WORD
from nnx_numba.lines import POINTER, REGISTER_BYTES, REGISTERS, Lines, moved
from nnx_numba.vectors import loop

ONE_LINE: tuple[int, int] = (16, 8) if REGISTERS == 32 else (12, 6)
"""Rows of a tile of one line, and of the smaller one for what is left."""

TWO_LINES: tuple[int, int] = (12, 6) if REGISTERS == 32 else (6, 3)
"""The same for tiles of two lines."""

PANEL = 2
"""Lines of a panel of weights."""

FOLD = 2
"""Depths that share a line where the columns fill at most half of one."""

_INDEX = ir.IntType(32)


def for_tiles(builder: Any, count: Any, width: int, emit: Callable[[Any, int], None]) -> None:
    """Emit `emit(row, height)` for tall tiles, and for small ones where those suffice."""
    tall, small = ONE_LINE if width == 1 else TWO_LINES
    tiles = builder.sdiv(builder.add(count, WORD(tall - small - 1)), WORD(tall))
    most = builder.mul(tiles, WORD(tall))
    with loop(builder, WORD(0), most, tall) as row:
        emit(row, tall)
    with loop(builder, most, count, small) as row:
        emit(row, small)


@dataclass(frozen=True)
class Left:
    """Elements of the left operand: the address of the first, and bytes to the next row and to the next step."""

    address: Any
    row: int
    step: Any


@dataclass(frozen=True)
class Right:
    """Lines of the right operand: the address of the first, bytes to the next step, how many, and their lanes."""

    address: Any
    step: Any
    deep: Any
    masks: list[Any]


@dataclass(frozen=True)
class Result:
    """Where sums go.

    Attributes:
        target: the address for a row of a tile.
        masks: the lanes of a row's lines that there are.
        fresh: whether sums begin with `starts`, or go on from what the result holds.
    """

    target: Callable[[int], Any]
    masks: list[Any]
    fresh: Any
    starts: list[Any]


class Sums:
    """Emits tiles; `fold` neighbours along the depth share a line, where the columns would not fill it."""

    def __init__(self, lines: Lines, fold: int = 1) -> None:
        """Take how many depths one line adds up."""
        self.lines, self.builder, self.fold = lines, lines.builder, fold

    def emit(self, rows: int, left: Left, right: Right, result: Result) -> None:
        """Add left @ right to rows of the result; `right.deep` counts steps of `fold` depths."""
        builder, lines = self.builder, self.lines
        width = len(right.masks)
        sums = [[lines.variable() for _ in range(width)] for _ in range(rows)]
        self._begin(sums, result)
        with loop(builder, WORD(0), right.deep) as k:
            place = moved(builder, right.address, (k, right.step))
            line = [lines.load(self._beside(place, n), mask) for n, mask in enumerate(right.masks)]
            first = moved(builder, left.address, (k, left.step))
            for n, row in enumerate(sums):
                factor = self._factor(builder.add(first, WORD(n * left.row)))
                for part, total in zip(line, row, strict=True):
                    total.set(lines.added(total.get(), factor, part))
        for n, row in enumerate(sums):
            for w, total in enumerate(row):
                target = self._beside(result.target(n), w)
                lines.store(self._contracted(total.get()), target, result.masks[w])

    def _begin(self, sums: list[list[Any]], result: Result) -> None:
        with self.builder.if_else(result.fresh) as (fresh, going_on):
            with fresh:
                for row in sums:
                    for total, start in zip(row, result.starts, strict=True):
                        total.set(self._expanded(start))
            with going_on:
                for n, row in enumerate(sums):
                    for w, total in enumerate(row):
                        held = self.lines.load(self._beside(result.target(n), w), result.masks[w])
                        total.set(self._expanded(held))

    def _beside(self, address: Any, line: int) -> Any:
        return self.builder.add(address, WORD(line * REGISTER_BYTES)) if line else address

    def _factor(self, address: Any) -> Any:
        """Read `fold` elements, over and over, into a line."""
        lines, builder = self.lines, self.builder
        if self.fold == 1:
            return lines.scalar(address)
        kind = ir.VectorType(lines.element, self.fold)
        few = builder.load(builder.inttoptr(address, POINTER), typ=kind, align=lines.size)
        return builder.shuffle_vector(few, few, self._order([n % self.fold for n in range(lines.lanes)]))

    def _expanded(self, line: Any) -> Any:
        """Move element n to where the sums of column n begin, with zeros beside it."""
        if self.fold == 1:
            return line
        lanes, fold = self.lines.lanes, self.fold
        order = [n // fold if n % fold == 0 else lanes for n in range(lanes)]
        return self.builder.shuffle_vector(line, self.lines.zeros, self._order(order))

    def _contracted(self, line: Any) -> Any:
        """Add the neighbours up."""
        lanes, fold, total = self.lines.lanes, self.fold, line
        if fold > 1:
            orders = [[min(n * fold + f, lanes - 1) for n in range(lanes)] for f in range(fold)]
            parts = [self.builder.shuffle_vector(line, line, self._order(order)) for order in orders]
            total = parts[0]
            for part in parts[1:]:
                total = self.builder.fadd(total, part)
        return total

    def _order(self, lanes: list[int]) -> Any:
        return ir.Constant(ir.VectorType(_INDEX, len(lanes)), lanes)
