"""Products with one row or one column: of a matrix and a vector.

Every element of the matrix is used once, so that memory sets the pace: nothing is packed, and the matrix is read
along its rows, as the processor expects it. Where the vector lies along the rows, a tile of as many rows as a
register has lanes leaves a line of inner products; where it goes down the columns, the result is a sum of rows, a
few of them at a time, in a buffer that stays in the first-level cache.

Sums are taken in blocks, whose results are added up: the same however the work is dealt out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nnx.interface import Array
from nnx_numba.grids import Grid, columns, grids
from nnx_numba.hostarrays import PRODUCTS, or_nothing, plain
from nnx_numba.internals import types
from nnx_numba.jit import intrinsic
from nnx_numba.kernel import kernel
from nnx_numba.lanes import WORD
from nnx_numba.lines import REGISTER_BYTES, Lines
from nnx_numba.vectors import loop, smaller

STRETCH = 256
"""Lines of depth of an inner product whose sums are taken in one go: half of the first-level cache."""

BLOCK = 512
"""Rows that are summed up in one go."""

STRIP = 128
"""Lines of a buffer for sums of rows: a quarter of the first-level cache."""

PANEL = 2
"""Lines of one unit of work of a sum of rows."""

_TOGETHER = (4, 2)  # rows, and lines of each, that inner products take at a time: so many sums are in flight
_ALONE = (1, 8)  # where there are fewer rows
_AHEAD = 4096  # bytes that are fetched ahead of what is read under a mask
_ROWS = 8  # rows that are added to the buffer at a time


@dataclass(frozen=True)
class Operands:
    """A matrix, a vector, the result, and what its sums begin with: an element for each, or one, or none."""

    matrix: Grid
    vector: Grid
    bias: Grid
    out: Grid


class _VectorProduct:
    """What both forms of the product share."""

    def __init__(self, lines: Lines, operands: Operands) -> None:
        self.lines, self.builder = lines, lines.builder
        self.matrix, self.vector, self.out = operands.matrix, operands.vector, operands.out
        self._bias = operands.bias

    def start(self, place: Any, mask: Any) -> Any:
        """Return what a line of sums begins with: the bias, or 0."""
        builder, lines, bias = self.builder, self.lines, self._bias
        single = builder.icmp_signed("==", bias.extents[0], WORD(1))
        several = builder.icmp_signed(">", bias.extents[0], WORD(1))
        shared = lines.scalar(builder.select(single, bias.address, self.out.address))
        own = lines.load(builder.select(several, bias.at(place), self.out.address), lines.mask_if(several, mask))
        return builder.select(single, shared, own)

    def read(self, address: Any, mask: Any) -> Any:
        """Return a line of the matrix; what is read under a mask the processor itself does not fetch ahead."""
        if mask is not None:
            self.lines.fetch(self.builder.add(address, WORD(_AHEAD)))
        return self.lines.load(address, mask)


class InnerProducts(_VectorProduct):
    """Emits out = matrix @ vector + bias."""

    def __init__(self, lines: Lines, operands: Operands) -> None:
        """Take the operands."""
        super().__init__(lines, operands)
        self._aside = lines.memory(lines.lanes)

    def emit(self, begin: Any, stop: Any) -> None:
        """Make some elements of the result, a line at a time."""
        builder, lines = self.builder, self.lines
        for n in range(lines.lanes):
            lines.store(lines.zeros, self._place(WORD(n)))
        with loop(builder, begin, stop, lines.lanes) as row:
            self._tile(row, smaller(builder, builder.sub(stop, row), WORD(lines.lanes)))

    def _tile(self, row: Any, valid: Any) -> None:
        builder, lines = self.builder, self.lines
        mask, total, depth = lines.mask(valid), lines.variable(), self.matrix.extents[1]
        total.set(self.start(row, mask))
        together = builder.and_(valid, WORD(-_TOGETHER[0]))
        with loop(builder, WORD(0), depth, STRETCH * lines.lanes) as level:
            stop = smaller(builder, builder.add(level, WORD(STRETCH * lines.lanes)), depth)
            with loop(builder, WORD(0), together, _TOGETHER[0]) as n:
                self._run(row, n, level, stop, _TOGETHER)
            with loop(builder, together, valid) as n:
                self._run(row, n, level, stop, _ALONE)
            found = lines.totals([lines.load(self._place(WORD(n))) for n in range(lines.lanes)])
            total.set(builder.fadd(total.get(), found))
        lines.store(total.get(), self.out.at(row), mask)

    def _place(self, n: Any) -> Any:
        return self.builder.add(self._aside, self.builder.mul(n, WORD(REGISTER_BYTES)))

    def _run(self, first: Any, n: Any, level: Any, stop: Any, size: tuple[int, int]) -> None:
        """Leave a line of sums for each of some rows from first + n on."""
        builder, lines = self.builder, self.lines
        rows, width = size
        places = [builder.add(builder.add(first, n), WORD(r)) for r in range(rows)]
        sums = [[lines.variable() for _ in range(width)] for _ in range(rows)]
        for total in (total for row in sums for total in row):
            total.set(lines.zeros)
        step = width * lines.lanes
        whole = builder.add(level, builder.and_(builder.sub(stop, level), WORD(-step)))
        with loop(builder, level, whole, step) as k:
            for c in range(width):
                self._add([row[c] for row in sums], places, builder.add(k, WORD(c * lines.lanes)), None)
        with loop(builder, whole, stop, lines.lanes) as k:
            self._add([row[0] for row in sums], places, k, lines.mask(builder.sub(stop, k)))
        for r, row in enumerate(sums):
            lines.store(self._sum([total.get() for total in row]), self._place(builder.add(n, WORD(r))))

    def _add(self, sums: list[Any], rows: list[Any], k: Any, mask: Any) -> None:
        line = self.lines.load(self.vector.at(k), mask)
        for total, row in zip(sums, rows, strict=True):
            total.set(self.lines.added(total.get(), self.read(self.matrix.at(row, k), mask), line))

    def _sum(self, found: list[Any]) -> Any:
        """Add in pairs."""
        while len(found) > 1:
            found = [self.builder.fadd(a, b) for a, b in zip(found[::2], found[1::2], strict=True)]
        return found[0]


class SumOfRows(_VectorProduct):
    """Emits out = matrix.T @ vector + bias."""

    def __init__(self, lines: Lines, operands: Operands) -> None:
        """Take the operands."""
        super().__init__(lines, operands)
        self._buffer = lines.memory(STRIP)

    def emit(self, begin: Any, stop: Any) -> None:
        """Make some elements of the result, a strip at a time."""
        builder, most = self.builder, STRIP * self.lines.lanes
        with loop(builder, begin, stop, most) as place:
            self._strip(place, smaller(builder, builder.sub(stop, place), WORD(most)))

    def _strip(self, place: Any, width: Any) -> None:
        builder, lines, depth = self.builder, self.lines, self.matrix.extents[0]
        with columns(lines, width) as (j, mask):
            into = builder.add(place, j)
            lines.store(self.start(into, mask), self.out.at(into), mask)
        with loop(builder, WORD(0), depth, BLOCK) as begin:
            stop = smaller(builder, builder.add(begin, WORD(BLOCK)), depth)
            self._clear(width)
            together = builder.add(begin, builder.and_(builder.sub(stop, begin), WORD(-_ROWS)))
            with loop(builder, begin, together, _ROWS) as k:
                self._add(k, _ROWS, place, width)
            with loop(builder, together, stop) as k:
                self._add(k, 1, place, width)
            with columns(lines, width) as (j, mask):
                into = self.out.at(builder.add(place, j))
                lines.store(builder.fadd(lines.load(into, mask), lines.load(self._held(j))), into, mask)

    def _clear(self, width: Any) -> None:
        with loop(self.builder, WORD(0), width, self.lines.lanes) as j:
            self.lines.store(self.lines.zeros, self._held(j))

    def _held(self, j: Any) -> Any:
        return self.builder.add(self._buffer, self.builder.mul(j, WORD(self.lines.size)))

    def _add(self, k: Any, count: int, place: Any, width: Any) -> None:
        """Add some rows, weighed, to the buffer."""
        builder, lines = self.builder, self.lines
        rows = [builder.add(k, WORD(n)) for n in range(count)]
        weights = [lines.scalar(self.vector.at(row)) for row in rows]
        places = [self.matrix.at(row, place) for row in rows]
        whole = builder.and_(width, WORD(-lines.lanes))
        with loop(builder, WORD(0), whole, lines.lanes) as j:
            self._add_line(places, weights, j, None)
        with builder.if_then(builder.icmp_signed("<", whole, width)):
            self._add_line(places, weights, whole, lines.mask(builder.sub(width, whole)))

    def _add_line(self, places: list[Any], weights: list[Any], j: Any, mask: Any) -> None:
        builder, lines = self.builder, self.lines
        offset = builder.mul(j, WORD(lines.size))
        first, *others = [self.read(builder.add(place, offset), mask) for place in places]
        total = builder.fmul(first, weights[0])
        for line, weight in zip(others, weights[1:], strict=True):
            total = lines.added(total, line, weight)
        held = self._held(j)
        lines.store(builder.fadd(lines.load(held), total), held)


def _intrinsic(product: type[InnerProducts | SumOfRows], per_unit: int) -> Any:
    """Make a function of units first..last-1, so many lines of the result each, and (matrix, vector, bias, out)."""

    @intrinsic
    def run(_context: Any, first: Any, last: Any, given: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            kinds = signature.args[2]
            operands = Operands(*grids(context, builder, kinds, arguments[2]))
            lines = Lines(builder, context.get_data_type(kinds[0].dtype))
            begin, stop = (builder.mul(n, WORD(per_unit * lines.lanes)) for n in arguments[:2])
            product(lines, operands).emit(begin, smaller(builder, stop, operands.out.extents[0]))
            return context.get_dummy_value()

        return types.none(first, last, given), generate

    return run


_inner_products = _intrinsic(InnerProducts, 1)
_sum_of_rows = _intrinsic(SumOfRows, PANEL)


@kernel
def inner_products(first: int, last: int, matrix: Array, vector: Array, bias: Array, out: Array) -> None:
    """out = matrix @ vector + bias; units are lines of out."""
    _inner_products(first, last, (matrix, vector, bias, out))


@kernel
def sum_of_rows(first: int, last: int, matrix: Array, vector: Array, bias: Array, out: Array) -> None:
    """out = matrix.T @ vector + bias; units are pairs of lines of out."""
    _sum_of_rows(first, last, (matrix, vector, bias, out))


def multiply_vector(a: Array, b: Array, bias: Array | None, out: Array, turned: tuple[bool, bool]) -> None:
    """out = op(a) @ op(b) + bias, where out has one row or one column."""
    down = turned[0] if out.shape[1] == 1 else not turned[1]
    matrix, vector = (a, b) if out.shape[1] == 1 else (b, a)
    matrix, vector = plain(matrix), plain(vector).reshape(-1)
    if 1 in matrix.shape:  # a column lies in memory as a row does
        matrix, down = matrix.reshape(1, -1), out.size > 1
    run, per_unit = (sum_of_rows, PANEL) if down else (inner_products, 1)
    lanes = REGISTER_BYTES // out.itemsize
    count = -(-out.size // (per_unit * lanes))
    cost = matrix.shape[0] * -(-matrix.shape[1] // lanes)
    grain = max(1, PRODUCTS * count // max(cost, 1))
    run(count, grain, matrix, vector, *or_nothing(out, 1, bias), out.reshape(-1))
