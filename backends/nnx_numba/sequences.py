"""Sequences in LLVM's terms: where elements lie, which steps there are, and the states between them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from nnx_numba.internals import alloca_once, types
from nnx_numba.lanes import WORD
from nnx_numba.lines import POINTER, Lines, moved
from nnx_numba.vectors import loop, smaller


@dataclass(frozen=True)
class Grid:
    """A contiguous array: its address, its extents, and the bytes of an element."""

    builder: Any
    address: Any
    extents: list[Any]
    size: int

    def at(self, *index: Any) -> Any:
        """Return the address of an element; of the first one, as far as indices are missing."""
        place = index[0]
        for n, extent in enumerate(self.extents[1:], 1):
            place = self.builder.mul(place, extent)
            if n < len(index):
                place = self.builder.add(place, index[n])
        return moved(self.builder, self.address, (place, WORD(self.size)))

    @property
    def given(self) -> Any:
        """Whether it has rows: what is missing is passed as an array without any."""
        return self.builder.icmp_signed("!=", self.extents[0], WORD(0))


def grids(context: Any, builder: Any, kind: Any, value: Any) -> Any:
    """Return the grid of an array; for a tuple, a list of what its parts give."""
    if isinstance(kind, types.Array):
        array = context.make_array(kind)(context, builder, value)
        extents = [builder.extract_value(array.shape, n) for n in range(kind.ndim)]
        return Grid(builder, builder.ptrtoint(array.data, WORD), extents, kind.dtype.bitwidth // 8)
    return [grids(context, builder, part, builder.extract_value(value, n)) for n, part in enumerate(kind)]


@contextmanager
def columns(lines: Lines, count: Any) -> Iterator[tuple[Any, Any]]:
    """Emit what the block emits for each line of so many columns: the first column, and the mask of those there."""
    with loop(lines.builder, WORD(0), count, lines.lanes) as column:
        yield column, lines.mask(lines.builder.sub(count, column))


@dataclass(frozen=True)
class Time:
    """The order of the steps, and what is padding."""

    builder: Any
    lengths: Grid
    count: Any
    reverse: Any

    def taken(self, number: Any) -> Any:
        """Return the step that is taken after so many others."""
        last = self.builder.sub(self.count, WORD(1))
        return self.builder.select(self.reverse, self.builder.sub(last, number), number)

    def before(self, t: Any) -> Any:
        """Return the step that is taken before step t; outside 0..T-1 there is none."""
        return self.builder.add(t, self.builder.select(self.reverse, WORD(1), WORD(-1)))

    def length(self, row: Any) -> Any:
        """Return how many steps a sequence has."""
        place = alloca_once(self.builder, WORD)
        self.builder.store(self.count, place)
        with self.builder.if_then(self.lengths.given):
            known = self.builder.inttoptr(self.lengths.at(row), POINTER)
            length = self.builder.load(known, typ=WORD, align=8)
            self.builder.store(smaller(self.builder, length, self.count), place)
        return self.builder.load(place, typ=WORD)

    def is_real(self, t: Any, length: Any) -> Any:
        """Whether there is a step t: a negative one is a large number here."""
        return self.builder.icmp_unsigned("<", t, length)


class States:
    """Rows of state, one for each sequence, in several slots; whole lines, which need no masks.

    Rows of a power of two bytes would evict each other from the cache: one line more keeps them apart.
    """

    def __init__(self, lines: Lines, memory: Grid, units: Any) -> None:
        """Take memory for (slots, sequences, `padded(units)`)."""
        self._lines, self._memory, self._units = lines, memory, units

    def at(self, slot: Any, row: Any, column: Any) -> Any:
        """Return the address of an element."""
        return self._memory.at(WORD(slot) if isinstance(slot, int) else slot, row, column)

    def fill(self, slot: int, source: Grid, begin: Any, stop: Any) -> None:
        """Copy rows of an array (N, H) into a slot, or zeros if it is not given."""
        given = source.given
        with loop(self._lines.builder, begin, stop) as row, self._columns() as (column, mask):
            place = self._lines.builder.select(given, source.at(row, column), self._memory.address)
            line = self._lines.load(place, self._lines.mask_if(given, mask))
            self._lines.store(line, self.at(slot, row, column))

    def deliver(self, slot: Any, target: Grid, begin: Any, stop: Any) -> None:
        """Copy rows of a slot into an array (N, H), if it is given."""
        with (
            self._lines.builder.if_then(target.given),
            loop(self._lines.builder, begin, stop) as row,
            self._columns() as (column, mask),
        ):
            self._lines.store(self._lines.load(self.at(slot, row, column)), target.at(row, column), mask)

    def _columns(self) -> Any:
        return columns(self._lines, self._units)


def padded(units: int, lanes: int) -> int:
    """Return how many elements a row of states takes."""
    return (-(-units // lanes) + 1) * lanes
