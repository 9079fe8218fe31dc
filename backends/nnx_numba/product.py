"""Products of matrices by tiles whose sums stay in vector registers.

Panels of the right operand, two registers wide, are packed, one line of columns below the other; tiles of a few
rows run down them, one broadcast element of the left operand at a time (Goto & van de Geijn 2008). Where many
panels and many rows follow each other, the left operand is packed too. Strides are numbers at run time, so that one
compiled kernel multiplies all transposes, and stores the result as it is or transposed: a narrow result has its
vectors along its rows then.

The terms of an element's sum are added in order of depth, in blocks of `DEPTH`, however the work is dealt out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nnx_numba.internals import types
from nnx_numba.jit import intrinsic
from nnx_numba.lanes import WORD
from nnx_numba.launches import WORKING
from nnx_numba.lines import REGISTER_BYTES, Lines, Strided, moved, words
from nnx_numba.packing import pack, pack_panels
from nnx_numba.tiles import Strip, Tile
from nnx_numba.vectors import LINE, loop, smaller

DEPTH = 512
"""Lines of a packed panel at most: 64 KiB with AVX-512. Fewer would fit the first-level cache, but the second feeds
tiles as fast, and a large result is read back and written for every panel's depth."""

WIDE, HIGH = 4, 1000
"""Panels, and rows of the result, from which on packing the left operand pays."""

TOGETHER = 8
"""Panels packed together for a short result: 256 KiB with AVX-512, a part of the second-level cache."""

SHORT = 256
"""Rows up to which a result is short: the left operand's block of a higher one fills that cache itself."""

FEW = 4
"""Tiles up to which a panel is read as it lies, if its columns adjoin,"""

FAR = 1 << 20
"""and if it does not stretch over more bytes than this, which lie in a cache further off, page by page."""

LEFT = 1 << 20
"""Bytes of a thread's memory for a block of the left operand."""

MANY = (WORKING - LEFT) // (DEPTH * 2 * REGISTER_BYTES)
"""Panels packed together where the left operand is packed: for all of its blocks, in a cache further off."""


@dataclass(frozen=True)
class Area:
    """Rows and columns of the result that one call makes."""

    row: Any
    row_stop: Any
    column: Any
    column_stop: Any


@dataclass(frozen=True)
class _Block:
    """A block of rows and depth, and where tiles find the left operand's elements in it.

    Attributes:
        top, rows: the first row, and how many.
        begin, deep: the first level of depth, and how many.
        left: the elements of the first tile; per_row: bytes from a tile's first row to the next tile's, per row.
        packed: whether they were packed.
    """

    top: Any
    rows: Any
    begin: Any
    deep: Any
    left: Strided
    per_row: Any
    packed: Any


@dataclass(frozen=True)
class _Panels:
    """Panels of the right operand that were packed together, or as they lie.

    Attributes:
        first: the first column.
        address, stride: the first line, and bytes to the next of its panel.
        size: bytes from a panel to the next.
    """

    first: Any
    address: Any
    stride: Any
    size: Any


class Product:
    """Emits left @ right into an area of out."""

    def __init__(
        self,
        lines: Lines,
        left: Strided,
        right: Strided,
        out: Strided,
        depth: Any,
        height: Any,
        memory: Any,
    ) -> None:
        """Take the operands, their common extent, the rows of a tile and memory for packing, in LLVM values."""
        self.lines, self.builder, self.depth, self.height = lines, lines.builder, depth, height
        self.left, self.right, self.out = left, right, out
        self.element, self.width = WORD(lines.size), 2 * lines.lanes
        self._for_left, self._for_right = memory, self.builder.add(memory, WORD(LEFT))
        self._tile = Tile(lines, self.builder.icmp_signed("==", out.column, self.element))
        self._adjoin = self.builder.icmp_signed("==", right.column, self.element)

    def emit(self, area: Area, bias: Any) -> None:
        """Go through blocks of depth, panels packed together, blocks of rows, panels and tiles.

        `bias` is an address, or 0 for none.
        """
        builder = self.builder
        rows, columns = builder.sub(area.row_stop, area.row), builder.sub(area.column_stop, area.column)
        high = builder.icmp_signed(">", rows, WORD(HIGH))
        packs = builder.and_(high, builder.icmp_signed(">", columns, WORD(WIDE * self.width)))
        most, span = self._rows_together(rows, high), self._span(rows, packs)
        once_at_least = builder.select(builder.icmp_signed("<", self.depth, WORD(1)), WORD(1), self.depth)
        with loop(builder, WORD(0), once_at_least, DEPTH) as begin:
            deep = smaller(builder, builder.sub(self.depth, begin), WORD(DEPTH))
            with loop(builder, area.column, area.column_stop, span) as first:
                stop = smaller(builder, builder.add(first, span), area.column_stop)
                panels = self._panels(rows, begin, deep, first, stop)
                with loop(builder, area.row, area.row_stop, most) as top:
                    count = smaller(builder, builder.sub(area.row_stop, top), most)
                    block = self._block(packs, top, count, begin, deep)
                    with loop(builder, first, stop, self.width) as column:
                        self._one_panel(block, panels, column, builder.sub(area.column_stop, column), bias)

    def _span(self, rows: Any, packs: Any) -> Any:
        """Return the columns of the panels packed together."""
        builder = self.builder
        short = builder.and_(self._adjoin, builder.icmp_signed("<=", rows, WORD(SHORT)))
        few = builder.select(short, WORD(TOGETHER * self.width), WORD(self.width))
        return builder.select(packs, WORD(MANY * self.width), few)

    def _rows_together(self, rows: Any, high: Any) -> Any:
        """Return the rows of a block: all, or equal shares, since the right operand is packed for each block."""
        builder, height = self.builder, self.height
        one_block = builder.block
        with builder.if_then(high):
            limit = builder.mul(builder.sdiv(WORD(LEFT // (DEPTH * self.lines.size)), height), height)
            share = self._rounded_up(rows, self._rounded_up(rows, limit))
            of_tiles = builder.mul(self._rounded_up(share, height), height)
            many_blocks = builder.block
        most = builder.phi(WORD)
        most.add_incoming(WORD(HIGH), one_block)
        most.add_incoming(of_tiles, many_blocks)
        return most

    def _rounded_up(self, n: Any, parts: Any) -> Any:
        """n / parts, rounded up."""
        return self.builder.sdiv(self.builder.add(n, self.builder.sub(parts, WORD(1))), parts)

    def _block(self, packs: Any, top: Any, rows: Any, begin: Any, deep: Any) -> _Block:
        """Pack the left operand's block if that pays."""
        builder, choose = self.builder, self.builder.select
        source = Strided(self.left.at(builder, top, begin), self.left.row, self.left.column)
        level, line = builder.mul(deep, self.element), builder.mul(self.height, self.element)
        with builder.if_then(packs), loop(builder, WORD(0), rows, self.height) as row:
            valid = smaller(builder, self.height, builder.sub(rows, row))
            tile = Strided(source.at(builder, row, WORD(0)), source.column, source.row)
            target = Strided(moved(builder, self._for_left, (row, level)), line, self.element)
            pack(self.lines, tile, valid, deep, target)
        left = Strided(
            choose(packs, self._for_left, source.address),
            choose(packs, self.element, source.row),
            choose(packs, line, source.column),
        )
        return _Block(top, rows, begin, deep, left, choose(packs, level, source.row), packs)

    def _panels(self, rows: Any, begin: Any, deep: Any, first: Any, stop: Any) -> _Panels:
        """Pack the panels of some columns if that pays."""
        builder = self.builder
        source = Strided(self.right.at(builder, begin, first), self.right.row, self.right.column)
        packs, size = self._packs_right(rows, deep), builder.mul(deep, WORD(2 * REGISTER_BYTES))
        with builder.if_then(packs):
            pack_panels(self.lines, source, builder.sub(stop, first), deep, self._for_right)
        return _Panels(
            first,
            builder.select(packs, self._for_right, source.address),
            builder.select(packs, WORD(2 * REGISTER_BYTES), source.row),
            builder.select(packs, size, WORD(2 * REGISTER_BYTES)),
        )

    def _packs_right(self, rows: Any, deep: Any) -> Any:
        """Whether to pack panels: if their columns adjoin, only where enough tiles run down them, or from afar."""
        builder = self.builder
        many = builder.icmp_signed(">", rows, builder.mul(self.height, WORD(FEW)))
        far = builder.icmp_signed(">", builder.mul(deep, self.right.row), WORD(FAR))
        again = builder.icmp_signed(">", rows, self.height)
        return builder.or_(builder.or_(many, builder.and_(far, again)), builder.not_(self._adjoin))

    def _one_panel(self, block: _Block, panels: _Panels, column: Any, rest: Any, bias: Any) -> None:
        """Run the tiles down a panel."""
        builder, lines = self.builder, self.lines
        masks = [lines.mask(builder.sub(rest, WORD(n * lines.lanes))) for n in range(2)]
        starts = [self._start(bias, column, n, mask) for n, mask in enumerate(masks)]
        fresh = builder.icmp_signed("==", block.begin, WORD(0))
        number = builder.sdiv(builder.sub(column, panels.first), WORD(self.width))
        address = moved(builder, panels.address, (number, panels.size))
        panel = Strip(address, panels.stride, block.deep, rest, masks, starts, fresh)
        with loop(builder, WORD(0), block.rows, self.height) as row:
            valid = smaller(builder, self.height, builder.sub(block.rows, row))
            place = self.out.at(builder, builder.add(block.top, row), column)
            left = Strided(
                moved(builder, block.left.address, (row, block.per_row)), block.left.row, block.left.column
            )
            self._fetch_next(builder.add(address, panels.size), block, row)
            self._tile.emit(left, panel, Strided(place, self.out.row, self.out.column), valid, self.height)

    def _fetch_next(self, panel: Any, block: _Block, row: Any) -> None:
        """Ask for a tile's share of the next panel, which lies in a cache further off."""
        builder = self.builder
        ends = (row, smaller(builder, builder.add(row, self.height), block.rows))
        with builder.if_then(block.packed):
            share = [builder.sdiv(builder.mul(end, block.deep), block.rows) for end in ends]
            with loop(builder, *share) as k:
                for place in range(0, 2 * REGISTER_BYTES, LINE):
                    line = moved(builder, panel, (k, WORD(2 * REGISTER_BYTES)))
                    self.lines.fetch_to_second(builder.add(line, WORD(place)))

    def _start(self, bias: Any, column: Any, n: int, mask: Any) -> Any:
        """What the sums of a line begin with: the bias, or 0."""
        builder, lines = self.builder, self.lines
        given = builder.icmp_signed("!=", bias, WORD(0))
        place = moved(builder, bias, (builder.add(column, WORD(n * lines.lanes)), self.element))
        anywhere = builder.select(given, place, self.right.address)
        return lines.load(anywhere, lines.mask_if(given, mask))


@intrinsic
def multiply(
    _context: Any,
    left: Any,
    right: Any,
    out: Any,
    area: Any,
    depth: Any,
    height: Any,
    bias: Any,
    memory: Any,
) -> Any:
    """Add up left @ right in an area of out.

    left, right, out: (address, bytes to the next row, to the next column); area: (row, stop, column, stop);
    bias: an array with one element for each column, or of no elements, where sums begin; memory: the
    address of the bytes that a thread brings along.
    """

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        lines = Lines(builder, context.get_data_type(bias.dtype))
        left, right, out = (Strided(*words(builder, arguments[n], 3)) for n in range(3))
        area = Area(*words(builder, arguments[3], 4))
        offset = lines.optional(context.make_array(bias)(context, builder, arguments[6]))
        Product(lines, left, right, out, arguments[4], arguments[5], *arguments[7:]).emit(area, offset)
        return context.get_dummy_value()

    return types.none(left, right, out, area, depth, height, bias, memory), generate
