"""Convolutions and their gradients as products of gathered columns, chunk by chunk in cache."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir

from nnx.interface import Array
from nnx_numba.gathering import ASIDE, CHUNK, PITCH, SOURCES, TARGETS, address_of, gather, list_rows, word_at
from nnx_numba.internals import types
from nnx_numba.jit import intrinsic
from nnx_numba.kernel import kernel
from nnx_numba.lanes import WORD
from nnx_numba.lines import REGISTER_BYTES, Lines, moved, words
from nnx_numba.sums import ONE_LINE, TWO_LINES, Left, Result, Right, Sums
from nnx_numba.vectors import loop, smaller

FOLD = 2
"""Depths that share a line where the columns fill at most half of one."""


def _panels(lines: Lines, columns: Any, emit: Callable[[Any, list[Any]], None]) -> None:
    """Emit `emit(column, masks)` for panels of two lines, and a last one of one line if that is enough."""
    builder = lines.builder
    with loop(builder, WORD(0), columns, 2 * lines.lanes) as column:
        rest = builder.sub(columns, column)
        masks = [lines.mask(builder.sub(rest, WORD(n * lines.lanes))) for n in range(2)]
        with builder.if_else(builder.icmp_signed("<=", rest, WORD(lines.lanes))) as (one, two):
            with one:
                emit(column, masks[:1])
            with two:
                emit(column, masks)


def _tiles(builder: Any, count: Any, width: int, emit: Callable[[Any, int], None]) -> None:
    """Emit `emit(row, height)` for tall tiles, and for small ones where those suffice."""
    tall, small = ONE_LINE if width == 1 else TWO_LINES
    tiles = builder.sdiv(builder.add(count, WORD(tall - small - 1)), WORD(tall))
    most = builder.mul(tiles, WORD(tall))
    with loop(builder, WORD(0), most, tall) as row:
        emit(row, tall)
    with loop(builder, most, count, small) as row:
        emit(row, small)


class _Weighing:
    """Emits products of gathered columns with packed weights, for a block of depth."""

    def __init__(self, lines: Lines, memory: Any, weights: Any, bias: Any, columns: Any) -> None:
        """Take addresses, that of the bias 0 for none, and the columns of the group."""
        self.lines, self.builder, self.memory = lines, lines.builder, memory
        self._weights, self._bias, self._columns = weights, bias, columns

    def emit(self, count: Any, begin: Any, block: tuple[Any, Any]) -> None:
        """Make columns from `begin` on for `count` places; block: depth, and depths before."""
        builder, lines = self.builder, self.lines
        deep, before = block
        fresh = builder.icmp_signed("==", before, WORD(0))
        few = builder.icmp_signed("<=", self._columns, WORD(lines.lanes // FOLD))
        with builder.if_else(few) as (folded, plain):
            with folded:
                steps, skipped = (
                    builder.sdiv(builder.add(depth, WORD(FOLD - 1)), WORD(FOLD)) for depth in block
                )
                place = moved(builder, self._weights, (skipped, WORD(REGISTER_BYTES)))
                self._panel(Sums(lines, FOLD), count, begin, (place, steps), [lines.mask(self._columns)], fresh)
            with plain:
                across = builder.sdiv(builder.add(self._columns, WORD(lines.lanes - 1)), WORD(lines.lanes))
                first = moved(builder, self._weights, (before, builder.mul(across, WORD(REGISTER_BYTES))))

                def panel(column: Any, masks: list[Any]) -> None:
                    place = moved(builder, first, (builder.mul(column, WORD(lines.size)), deep))
                    self._panel(Sums(lines), count, builder.add(begin, column), (place, deep), masks, fresh)

                _panels(lines, self._columns, panel)

    def _panel(
        self, sums: Sums, count: Any, column: Any, weights: tuple[Any, Any], masks: list[Any], fresh: Any
    ) -> None:
        """Run tiles down the packed lines; weights: their address, and how many there are."""
        builder, lines = self.builder, self.lines
        place, steps = weights
        starts = [self._start(column, n, mask) for n, mask in enumerate(masks)]
        right = Right(place, WORD(len(masks) * REGISTER_BYTES), steps, [None] * len(masks))
        targets = builder.add(self.memory, WORD(TARGETS))

        def tile(row: Any, height: int) -> None:
            def target(n: int) -> Any:
                address = word_at(builder, targets, builder.add(row, WORD(n)))
                return moved(builder, address, (column, WORD(lines.size)))

            left = Left(moved(builder, self.memory, (row, WORD(PITCH))), PITCH, sums.fold * lines.size)
            sums.emit(height, left, right, Result(target, masks, fresh, starts))

        _tiles(builder, count, len(masks), tile)

    def _start(self, column: Any, n: int, mask: Any) -> Any:
        """What the sums of a line begin with: the bias, or 0."""
        builder, lines = self.builder, self.lines
        given = builder.icmp_signed("!=", self._bias, WORD(0))
        place = moved(builder, self._bias, (builder.add(column, WORD(n * lines.lanes)), WORD(lines.size)))
        return lines.load(builder.select(given, place, self._weights), lines.mask_if(given, mask))


@intrinsic
def _weigh(
    _context: Any, memory: Any, weights: Any, skipped: Any, bias: Any, columns: Any, count: Any, begin: Any, block: Any
) -> Any:
    """Add up gathered columns times packed weights; `skipped` of these belong to other groups."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        lines = Lines(builder, context.get_data_type(weights.dtype))
        packed = address_of(context, builder, signature.args[1], arguments[1])
        place = moved(builder, packed, (arguments[2], WORD(lines.size)))
        offset = lines.optional(context.make_array(bias)(context, builder, arguments[3]))
        emitted = _Weighing(lines, arguments[0], place, offset, arguments[4])
        emitted.emit(arguments[5], arguments[6], tuple(words(builder, arguments[7], 2)))
        return context.get_dummy_value()

    return types.none(memory, weights, skipped, bias, columns, count, begin, block), generate


@intrinsic
def _run(_context: Any, entry: Any, row: Any, first: Any, last: Any, memory: Any) -> Any:
    """Run another kernel, by the address of its entry, on its units first..last-1."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kinds = [WORD] * 4
        function = ir.FunctionType(ir.VoidType(), kinds).as_pointer()
        table = address_of(context, builder, signature.args[1], arguments[1])
        builder.call(builder.inttoptr(arguments[0], function), [table, *arguments[2:]])
        return context.get_dummy_value()

    return types.none(entry, row, first, last, memory), generate


@kernel
def convolve(
    first: int,
    last: int,
    memory: int,
    x: Array,
    places: Array,
    spots: Array,
    pieces: Array,
    blocks: Array,
    weights: Array,
    bias: Array,
    out: Array,
    groups: int,
    activation: int,
    row: Array,
) -> None:
    """Weigh what windows lie on, and activate while it is in cache; units are chunks of places.

    weights: (G, depth, lines of the group), see `packed_order`; activation: the address of a kernel's entry, or 0;
    row: its arguments, of which units are elements of out.
    """
    size, total = x.itemsize, x.shape[0] * places.shape[0]
    columns, shift = out.shape[3] // groups, x.shape[3] // groups * size
    for unit in range(first, last):
        start = unit * CHUNK
        count = min(CHUNK, total - start)
        source, target = (x.ctypes.data, x.strides[0]), (out.ctypes.data, out.strides[0])
        list_rows(memory + SOURCES, source, places, size, start, count, memory)
        list_rows(memory + TARGETS, target, spots, size, start, count, memory + ASIDE)
        for group in range(groups):
            skipped = weights.shape[0] // groups * group
            for n in range(blocks.shape[0]):
                gather(memory, x, pieces, blocks[n, 0], blocks[n, 1], count, group * shift)
                block = blocks[n, 2], blocks[n, 3]
                _weigh(memory, weights, skipped, bias, columns, count, group * columns, block)
        if activation != 0:
            _run(activation, row, start * out.shape[3], (start + count) * out.shape[3], memory)


class _Correlating:
    """Emits products of the turned gathered columns with lines of the places' gradient."""

    def __init__(self, lines: Lines, memory: Any, gradient: Any, out: Any, wide: Any) -> None:
        """Take addresses, and bytes from one row of the gradient, and of out, to the next."""
        self.lines, self.builder, self.memory = lines, lines.builder, memory
        self._gradient, self._out, self._wide = gradient, out, wide

    def emit(self, count: Any, begin: Any, columns: Any, deep: Any, fresh: Any) -> None:
        """Add the products of `count` places to `deep` rows of out, in columns from `begin` on."""
        builder, lines = self.builder, self.lines
        aside = builder.add(self.memory, WORD(ASIDE))

        def panel(column: Any, masks: list[Any]) -> None:
            level = builder.mul(builder.add(begin, column), WORD(lines.size))
            right = Right(builder.add(self._gradient, level), self._wide, count, masks)
            starts = [lines.zeros] * len(masks)

            def tile(row: Any, height: int) -> None:
                def target(n: int) -> Any:
                    place = builder.add(row, WORD(n))
                    address = moved(builder, self._out, (place, self._wide))
                    there = builder.icmp_signed("<", place, deep)
                    return builder.select(there, builder.add(address, level), aside)

                left = Left(moved(builder, self.memory, (row, WORD(lines.size))), lines.size, PITCH)
                Sums(lines).emit(height, left, right, Result(target, masks, fresh, starts))

            _tiles(builder, deep, len(masks), tile)

        _panels(lines, columns, panel)


@intrinsic
def _correlate(
    _context: Any, memory: Any, gradient: Any, out: Any, wide: Any, count: Any, area: Any, fresh: Any, like: Any
) -> Any:
    """Add gathered columns, turned, times the gradient; area: (first column, columns, depth)."""

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        lines = Lines(builder, context.get_data_type(like.dtype))
        begin, columns, deep = words(builder, arguments[5], 3)
        emitted = _Correlating(lines, arguments[0], *arguments[1:4])
        emitted.emit(arguments[4], begin, columns, deep, arguments[6])
        return context.get_dummy_value()

    return types.none(memory, gradient, out, wide, count, area, fresh, like), generate


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
def correlate(
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

    dz: (places, O); parts: (parts, depth + 1, O), the bias last; chunks: of places, in a part.
    """
    size, total = x.itemsize, dz.shape[0]
    columns, shift = dz.shape[1] // groups, x.shape[3] // groups * size
    source, wide = (x.ctypes.data, x.strides[0]), dz.strides[0]
    for unit in range(first, last):
        part, n = unit // blocks.shape[0], unit % blocks.shape[0]
        out = parts.ctypes.data + part * parts.strides[0] + blocks[n, 3] * parts.strides[1]
        ends = n == blocks.shape[0] - 1
        deep = blocks[n, 2] + ends
        begin = part * chunks * CHUNK
        for start in range(begin, min(begin + chunks * CHUNK, total), CHUNK):
            count = min(CHUNK, total - start)
            list_rows(memory + SOURCES, source, places, size, start, count, memory)
            for group in range(groups):
                gather(memory, x, pieces, blocks[n, 0], blocks[n, 1], count, group * shift)
                if ends:
                    _put_ones(memory, blocks[n, 2], count, x)
                gradient = dz.ctypes.data + start * wide
                area = group * columns, columns, deep
                _correlate(memory, gradient, out, wide, count, area, start == begin, x)
