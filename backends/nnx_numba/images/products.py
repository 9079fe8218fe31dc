"""Convolutions as products of gathered columns and packed weights, chunk by chunk in cache."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nnx.interface import Array
from nnx_numba.images.chunks import (
    ASIDE,
    CHUNK,
    PITCH,
    SOURCES,
    TARGETS,
    address_of,
    gather,
    list_rows,
    run_entry,
    word_at,
)
from nnx_numba.images.sums import FOLD, PANEL, Left, Result, Right, Sums, for_tiles
from nnx_numba.internals import types
from nnx_numba.jit import intrinsic
from nnx_numba.kernel import kernel
from nnx_numba.lanes import WORD
from nnx_numba.lines import REGISTER_BYTES, Lines, moved, words
from nnx_numba.vectors import loop


def _panels(lines: Lines, columns: Any, emit: Callable[[Any, list[Any]], None]) -> None:
    """Emit `emit(column, masks)` for panels of two lines, and a last one of one line if that is enough."""
    builder = lines.builder
    with loop(builder, WORD(0), columns, PANEL * lines.lanes) as column:
        rest = builder.sub(columns, column)
        masks = [lines.mask(builder.sub(rest, WORD(n * lines.lanes))) for n in range(PANEL)]
        with builder.if_else(builder.icmp_signed("<=", rest, WORD(lines.lanes))) as (one, two):
            with one:
                emit(column, masks[:1])
            with two:
                emit(column, masks)


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
                steps, skipped = (builder.sdiv(builder.add(depth, WORD(FOLD - 1)), WORD(FOLD)) for depth in block)
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

            left = Left(moved(builder, self.memory, (row, WORD(PITCH))), PITCH, WORD(sums.fold * lines.size))
            sums.emit(height, left, right, Result(target, masks, fresh, starts))

        for_tiles(builder, count, len(masks), tile)

    def _start(self, column: Any, n: int, mask: Any) -> Any:
        """What the sums of a line begin with: the bias, or 0."""
        builder, lines = self.builder, self.lines
        given = builder.icmp_signed("!=", self._bias, WORD(0))
        place = moved(builder, self._bias, (builder.add(column, WORD(n * lines.lanes)), WORD(lines.size)))
        return lines.load(builder.select(given, place, self._weights), lines.mask_if(given, mask))


@intrinsic
def _weigh(
    _context: Any,
    memory: Any,
    weights: Any,
    skipped: Any,
    bias: Any,
    columns: Any,
    count: Any,
    begin: Any,
    block: Any,
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

    weights: (G, depth, lines of the group), see `pack_taps`; activation: the address of a kernel's entry, or 0;
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
            run_entry(activation, row, start * out.shape[3], (start + count) * out.shape[3], memory)
