"""Sequences in LLVM's terms: which steps there are, and the states between them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nnx_numba.grids import Grid, columns
from nnx_numba.internals import alloca_once
from nnx_numba.lanes import WORD
from nnx_numba.lines import POINTER, Lines
from nnx_numba.vectors import loop, smaller


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
            length = smaller(self.builder, self.builder.load(known, typ=WORD, align=8), self.count)
            positive = self.builder.icmp_signed(">", length, WORD(0))
            self.builder.store(self.builder.select(positive, length, WORD(0)), place)
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
