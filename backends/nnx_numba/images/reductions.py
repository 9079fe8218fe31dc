"""Windows that make one number of every channel: what largest and average have in common, and how they differ.

A line holds neighbouring channels of one pixel. Some places of a row are done together, so that none waits for
its own last step; a row's last ones may be done twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from llvmlite import ir

from nnx_numba.lanes import WORD, call, fill
from nnx_numba.lines import POINTER, Lines, Variable, moved
from nnx_numba.vectors import loop, smaller

TOGETHER = 4
"""Places of a row that are done together."""

_INT = ir.IntType(32)


@dataclass(frozen=True)
class Taps:
    """The taps of a row of places that lie on the image, and the pixels they lie on.

    Attributes:
        top: address of the pixel row that tap row 0 lies on, be it inside or not.
        first, stop: tap rows inside.
        across: taps of a row.
        left, step: the pixel that the first place begins at, and from one place to the next.
        wide: pixels of a row.
        channels: of a pixel.
    """

    top: Any
    first: Any
    stop: Any
    across: Any
    left: Any
    step: Any
    wide: Any
    channels: Any


class Pool:
    """Emits passes over a row of places."""

    def __init__(self, lines: Lines, taps: Taps) -> None:
        """Take the taps of the row."""
        self.lines, self.builder, self.taps = lines, lines.builder, taps
        self.integers = ir.VectorType(_INT, lines.lanes)
        self.aside = lines.memory(1)
        self._pixel = self.builder.mul(taps.channels, WORD(lines.size))
        self._row = self.builder.mul(taps.wide, self._pixel)

    @contextmanager
    def channels(self) -> Iterator[tuple[Any, Any]]:
        """Emit what the context does for each line of channels: the first, and the lanes that there are."""
        with loop(self.builder, WORD(0), self.taps.channels, self.lines.lanes) as channel:
            yield channel, self.lines.mask(self.builder.sub(self.taps.channels, channel))

    @contextmanager
    def over(self, places: list[Any]) -> Iterator[tuple[Any, list[tuple[Any, Any]]]]:
        """Emit what the context does for every tap: its number, and for each place where it lies, and if inside."""
        builder, taps = self.builder, self.taps
        with loop(builder, taps.first, taps.stop) as k:
            row, number = moved(builder, taps.top, (k, self._row)), builder.mul(k, taps.across)
            with loop(builder, WORD(0), taps.across) as l:  # noqa: E741 (as in the interface)
                found = []
                for place in places:
                    pixel = builder.add(self.begin(place), l)
                    inside = builder.icmp_unsigned("<", pixel, taps.wide)
                    pixel = builder.select(inside, pixel, WORD(0))
                    found.append((moved(builder, row, (pixel, self._pixel)), inside))
                yield builder.add(number, l), found

    def begin(self, place: Any) -> Any:
        """Return the pixel of a row that a place begins at."""
        return moved(self.builder, self.taps.left, (place, self.taps.step))

    def first_inside(self, place: Any) -> tuple[Any, Any]:
        """Return the number of the first tap inside, and where it lies."""
        builder, taps = self.builder, self.taps
        begin = self.begin(place)
        skipped = builder.select(builder.icmp_signed("<", begin, WORD(0)), builder.neg(begin), WORD(0))
        address = moved(builder, taps.top, (taps.first, self._row), (builder.add(begin, skipped), self._pixel))
        return moved(builder, skipped, (taps.first, taps.across)), address

    def inside(self, place: Any) -> Any:
        """Return how many taps of a place are inside, as a line of reals."""
        builder, lines, taps = self.builder, self.lines, self.taps
        begin = self.begin(place)
        low = builder.select(builder.icmp_signed("<", begin, WORD(0)), WORD(0), begin)
        high = smaller(builder, builder.add(begin, taps.across), taps.wide)
        count = builder.mul(builder.sub(high, low), builder.sub(taps.stop, taps.first))
        return fill(builder, lines.type, builder.sitofp(count, lines.element))

    def together(self, first: Any, count: Any) -> list[Any]:
        """Return some places from the first on; instead of those behind the last, the last."""
        last = self.builder.sub(count, WORD(1))
        return [smaller(self.builder, self.builder.add(first, WORD(n)), last) for n in range(TOGETHER)]

    def numbers(self, number: Any) -> Any:
        """Return a tap's number as a line."""
        return fill(self.builder, self.integers, self.builder.trunc(number, _INT))

    def store_numbers(self, line: Any, address: Any, mask: Any) -> None:
        """Write a line of integers."""
        name, place = f"llvm.masked.store.v{self.lines.lanes}i32.p0", self.builder.inttoptr(address, POINTER)
        call(self.builder, name, ir.VoidType(), line, place, _INT(4), mask)

    def load_numbers(self, address: Any, mask: Any) -> Any:
        """Read a line of integers."""
        name, place = f"llvm.masked.load.v{self.lines.lanes}i32.p0", self.builder.inttoptr(address, POINTER)
        return call(self.builder, name, self.integers, place, _INT(4), mask, ir.Constant(self.integers, None))

    def variables(self, kind: Any) -> list[Variable]:
        """Return what may change for each of some places done together."""
        return [Variable(self.builder, kind) for _ in range(TOGETHER)]


def largest(pool: Pool, count: Any, out: Any, index: Any) -> None:
    """Emit a row of largest elements, and the taps where they are."""
    builder, lines = pool.builder, pool.lines
    best, where = pool.variables(lines.type), pool.variables(pool.integers)
    with loop(builder, WORD(0), count, TOGETHER) as first, pool.channels() as (channel, mask):
        places, step = pool.together(first, count), builder.mul(channel, WORD(lines.size))
        starts = [pool.first_inside(place) for place in places]
        for n, (number, address) in enumerate(starts):
            best[n].set(lines.load(builder.add(address, step), mask))
            where[n].set(pool.numbers(number))
        with pool.over(places) as (number, taps):
            tap = pool.numbers(number)
            for n, (address, inside) in enumerate(taps):
                known = builder.select(inside, address, starts[n][1])  # what is held already is never taken
                value, held = lines.load(builder.add(known, step), mask), best[n].get()
                taken = builder.fcmp_unordered(">", value, held)  # a NaN, too, is taken
                taken = builder.and_(taken, builder.fcmp_ordered("==", held, held))  # unless there was one
                best[n].set(builder.select(taken, value, held))
                where[n].set(builder.select(taken, tap, where[n].get()))
        for n, place in enumerate(places):
            element = moved(builder, channel, (place, pool.taps.channels))
            lines.store(best[n].get(), moved(builder, out, (element, WORD(lines.size))), mask)
            pool.store_numbers(where[n].get(), moved(builder, index, (element, WORD(4))), mask)


def average(pool: Pool, count: Any, out: Any) -> None:
    """Emit a row of averages."""
    builder, lines = pool.builder, pool.lines
    totals = pool.variables(lines.type)
    with loop(builder, WORD(0), count, TOGETHER) as first, pool.channels() as (channel, mask):
        places, step = pool.together(first, count), builder.mul(channel, WORD(lines.size))
        for total in totals:
            total.set(lines.zeros)
        with pool.over(places) as (_, taps):
            for total, (address, inside) in zip(totals, taps, strict=True):
                value = lines.load(builder.add(address, step), lines.mask_if(inside, mask))
                total.set(builder.fadd(total.get(), value))
        for total, place in zip(totals, places, strict=True):
            element = moved(builder, channel, (place, pool.taps.channels))
            mean = builder.fdiv(total.get(), pool.inside(place))
            lines.store(mean, moved(builder, out, (element, WORD(lines.size))), mask)


def largest_back(pool: Pool, count: Any, gradient: Any, index: Any, adds: Any) -> None:
    """Emit the shares of a row of places: each goes to one pixel."""
    builder, lines = pool.builder, pool.lines
    with loop(builder, WORD(0), count) as place, pool.channels() as (channel, mask):
        element = moved(builder, channel, (place, pool.taps.channels))
        share = lines.load(moved(builder, gradient, (element, WORD(lines.size))), mask)
        where = pool.load_numbers(moved(builder, index, (element, WORD(4))), mask)
        with pool.over([place]) as (number, [(address, inside)]):
            found = builder.icmp_signed("==", where, pool.numbers(number))
            target = builder.select(inside, moved(builder, address, (channel, WORD(lines.size))), pool.aside)
            _deliver(lines, builder.select(found, share, lines.zeros), target, mask, adds)


def average_back(pool: Pool, count: Any, gradient: Any, adds: Any) -> None:
    """Emit the shares of a row of places: all pixels of one have equal ones."""
    builder, lines = pool.builder, pool.lines
    with loop(builder, WORD(0), count) as place, pool.channels() as (channel, mask):
        element = moved(builder, channel, (place, pool.taps.channels))
        whole = lines.load(moved(builder, gradient, (element, WORD(lines.size))), mask)
        share = builder.fdiv(whole, pool.inside(place))
        with pool.over([place]) as (_, [(address, inside)]):
            target = builder.select(inside, moved(builder, address, (channel, WORD(lines.size))), pool.aside)
            _deliver(lines, share, target, mask, adds)


def _deliver(lines: Lines, share: Any, target: Any, mask: Any, adds: Any) -> None:
    total = lines.variable()
    total.set(share)
    with lines.builder.if_then(adds):
        total.set(lines.builder.fadd(share, lines.load(target, mask)))
    lines.store(total.get(), target, mask)
