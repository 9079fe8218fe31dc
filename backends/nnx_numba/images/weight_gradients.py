"""Gradients of weights as products of the places' gradient, turned, and gathered columns, chunk by chunk in cache.

Vectors lie along the depth, so that few filters, too, fill them.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from nnx.interface import Array
from nnx_numba.images.chunks import ASIDE, CHUNK, LAST, PITCH, SOURCES, gather, list_rows
from nnx_numba.images.sums import ONE_LINE, TWO_LINES, Left, Result, Right, Sums, for_tiles
from nnx_numba.internals import types
from nnx_numba.jit import intrinsic
from nnx_numba.kernel import kernel
from nnx_numba.lanes import WORD
from nnx_numba.lines import REGISTER_BYTES, Lines, moved, words
from nnx_numba.vectors import loop

_TALLEST = max(ONE_LINE[0], TWO_LINES[0])
_COPY = -(-8 * _TALLEST // REGISTER_BYTES) * REGISTER_BYTES  # bytes for a tile's elements of one step


class _Gradients:
    """Emits products of the places' gradient, turned, with lines of gathered columns."""

    def __init__(self, lines: Lines, memory: Any, gradient: tuple[Any, Any], out: tuple[Any, Any]) -> None:
        """Take addresses, and bytes from one row of the gradient, and of the result, to the next."""
        self.lines, self.builder, self.memory = lines, lines.builder, memory
        self._gradient, self._out = gradient, out

    def emit(self, count: Any, rows: Any, deep: Any, flags: tuple[Any, Any]) -> None:
        """Add the products of `count` places to rows of `deep` columns of the result; flags: see below."""
        builder, lines = self.builder, self.lines
        low = builder.icmp_signed("<=", rows, WORD(ONE_LINE[0]))
        narrow = builder.icmp_signed("<=", deep, WORD(lines.lanes))
        with builder.if_else(builder.or_(low, narrow)) as (one, two):
            for width, branch in ((1, one), (2, two)):
                with branch:

                    def tile(row: Any, height: int, width: int = width) -> None:
                        self._across(count, (row, rows), deep, flags, (height, width))

                    for_tiles(builder, rows, width, tile)

    def _across(self, count: Any, rows: Any, deep: Any, flags: tuple[Any, Any], size: tuple[int, int]) -> None:
        """Run tiles along some rows; rows: the first, and the one to stop before."""
        builder, lines = self.builder, self.lines
        height, width = size
        left = self._left(count, rows, flags[1], height)
        with loop(builder, WORD(0), deep, width * lines.lanes) as column:
            level = builder.mul(column, WORD(lines.size))
            masks = [
                lines.mask(builder.sub(builder.sub(deep, column), WORD(n * lines.lanes))) for n in range(width)
            ]
            right = Right(builder.add(self.memory, level), WORD(PITCH), count, [None] * width)

            def target(n: int, level: Any = level) -> Any:
                place = builder.add(rows[0], WORD(n))
                address = moved(builder, self._out[0], (place, self._out[1]))
                there = builder.icmp_signed("<", place, rows[1])
                return builder.select(there, builder.add(address, level), builder.add(self.memory, WORD(ASIDE)))

            Sums(lines).emit(height, left, right, Result(target, masks, flags[0], [lines.zeros] * width))

    def _left(self, count: Any, rows: Any, ends: Any, height: int) -> Left:
        """Return some columns of the gradient; where tiles would read beyond its end, a copy."""
        builder, lines = self.builder, self.lines
        address, copy = moved(builder, self._gradient[0], (rows[0], WORD(lines.size))), WORD(LAST)
        copy = builder.add(self.memory, copy)
        with builder.if_then(ends), loop(builder, WORD(0), count) as n:
            source, target = moved(builder, address, (n, self._gradient[1])), moved(builder, copy, (n, WORD(_COPY)))
            for first in range(0, height, lines.lanes):
                mask, step = (
                    lines.mask(builder.sub(builder.sub(rows[1], rows[0]), WORD(first))),
                    WORD(first * lines.size),
                )
                lines.store(lines.load(builder.add(source, step), mask), builder.add(target, step))
        step = builder.select(ends, WORD(_COPY), self._gradient[1])
        return Left(builder.select(ends, copy, address), lines.size, step)


@intrinsic
def _sum_gradients(
    _context: Any, memory: Any, gradient: Any, out: Any, count: Any, size: Any, flags: Any, like: Any
) -> Any:
    """Add the gradient, turned, times gathered columns.

    gradient, out: (address, bytes to the next row); size: rows and columns of out; flags: whether sums begin here,
    and whether fewer elements than a tile has rows follow in the gradient's memory.
    """

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        lines = Lines(builder, context.get_data_type(like.dtype))
        gradient, out, size, flags = (_pair(builder, arguments[n]) for n in (1, 2, 4, 5))
        _Gradients(lines, arguments[0], gradient, out).emit(arguments[3], size[0], size[1], flags)
        return context.get_dummy_value()

    return types.none(memory, gradient, out, count, size, flags, like), generate


def _pair(builder: Any, value: Any) -> tuple[Any, Any]:
    first, second = words(builder, value, 2)
    return first, second


@intrinsic
def _put_ones(_context: Any, memory: Any, place: Any, count: Any, like: Any) -> Any:
    """Write a column of ones behind the last gathered one: its products are sums of the gradient."""

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        lines = Lines(builder, context.get_data_type(like.dtype))
        first = moved(builder, arguments[0], (arguments[1], WORD(lines.size)))
        with loop(builder, WORD(0), arguments[2]) as n:
            lines.put(ir.Constant(lines.element, 1.0), moved(builder, first, (n, WORD(PITCH))))
        return context.get_dummy_value()

    return types.none(memory, place, count, like), generate


@kernel
def sum_gradients(
    first: int,
    last: int,
    memory: int,
    x: Array,
    places: Array,
    pieces: Array,
    blocks: Array,
    dz: Array,
    parts: Array,
    chunks: int,
    groups: int,
) -> None:
    """Gradients of weights and bias, summed over parts of the places; units are blocks of depth within parts.

    dz: (places, O); parts: (parts, O, depth + 1), the bias last; chunks: of places, in a part.
    """
    size, total, wide = x.itemsize, dz.shape[0], dz.strides[0]
    columns, shift = dz.shape[1] // groups, x.shape[3] // groups * size
    source, apart = (x.ctypes.data, x.strides[0]), parts.strides[1]
    for unit in range(first, last):
        part, n = unit // blocks.shape[0], unit % blocks.shape[0]
        out = parts.ctypes.data + part * parts.strides[0] + blocks[n, 3] * size
        ends = n == blocks.shape[0] - 1
        begin = part * chunks * CHUNK
        for start in range(begin, min(begin + chunks * CHUNK, total), CHUNK):
            count = min(CHUNK, total - start)
            list_rows(memory + SOURCES, source, places, size, start, count, memory)
            for group in range(groups):
                gather(memory, x, pieces, blocks[n, 0], blocks[n, 1], count, group * shift)
                if ends:
                    _put_ones(memory, blocks[n, 2], count, x)
                gradient = dz.ctypes.data + start * wide + group * columns * size, wide
                target = out + group * columns * apart, apart
                flags = start == begin, (total - start - count) * dz.shape[1] < _TALLEST
                _sum_gradients(memory, gradient, target, count, (columns, blocks[n, 2] + ends), flags, x)
