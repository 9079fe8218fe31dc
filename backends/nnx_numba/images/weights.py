"""Weights on their way to products, and their gradients on the way back: packed, added up, delivered."""

from __future__ import annotations

from typing import Any

from nnx.interface import Array
from nnx_numba.images.readings import BLOCK_BYTES
from nnx_numba.images.sums import FOLD, PANEL
from nnx_numba.internals import types
from nnx_numba.jit import intrinsic
from nnx_numba.kernel import kernel
from nnx_numba.lanes import WORD
from nnx_numba.lines import REGISTER_BYTES, Lines, Strided, moved, words
from nnx_numba.packing import pack
from nnx_numba.vectors import loop


@intrinsic
def _pack_lines(_context: Any, source: Any, width: Any, deep: Any, target: Any, step: Any, like: Any) -> Any:
    """Copy a matrix to lines `step` bytes apart; source: (address, bytes to the next row, and to the next column).

    The lanes behind the columns take zeros: what stood there might be numbers that are slow to multiply.
    """

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        lines, (_, wide, depth, into, apart) = Lines(builder, context.get_data_type(like.dtype)), arguments[:5]
        rest = builder.srem(wide, WORD(lines.lanes))
        behind = moved(builder, into, (builder.sub(wide, rest), WORD(lines.size)))
        with builder.if_then(builder.icmp_signed("!=", rest, WORD(0))), loop(builder, WORD(0), depth) as n:
            lines.store(lines.zeros, moved(builder, behind, (n, apart)))
        matrix = Strided(*words(builder, arguments[0], 3))
        pack(lines, matrix, wide, depth, Strided(into, apart, WORD(lines.size)))
        return context.get_dummy_value()

    return types.none(source, width, deep, target, step, like), generate


@intrinsic
def _pack_folded(_context: Any, source: Any, width: Any, deep: Any, target: Any, first: Any, like: Any) -> Any:
    """Copy a matrix of few columns to depths first.. of folded lines, with zeros for what is not there.

    source: as above; target: where depth 0 is; deep: rows, and how many depths they fill.
    """

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        lines, (_, wide, _, into, start, _) = Lines(builder, context.get_data_type(like.dtype)), arguments
        matrix, (rows, depths) = Strided(*words(builder, arguments[0], 3)), words(builder, arguments[2], 2)
        with loop(builder, WORD(0), depths) as n, loop(builder, WORD(0), WORD(lines.lanes // FOLD)) as column:
            there = builder.and_(builder.icmp_signed("<", n, rows), builder.icmp_signed("<", column, wide))
            place = builder.select(there, matrix.at(builder, n, column), matrix.address)
            depth = builder.add(start, n)
            line, beside = builder.sdiv(depth, WORD(FOLD)), builder.srem(depth, WORD(FOLD))
            element = builder.add(builder.mul(column, WORD(FOLD)), beside)
            into_line = moved(builder, into, (line, WORD(REGISTER_BYTES)), (element, WORD(lines.size)))
            lines.put(builder.select(there, lines.get(place), lines.nothing), into_line)
        return context.get_dummy_value()

    return types.none(source, width, deep, target, first, like), generate


def packed(groups: int, taps: int, run: int, columns: int, itemsize: int) -> tuple[int, int]:
    """Return how many elements weights take once they are packed, and how many matrices are copied for that.

    groups, taps: matrices (run, columns) of weights.
    """
    lanes = REGISTER_BYTES // itemsize
    if columns <= lanes // FOLD:
        return groups * -(-taps * run // FOLD) * lanes, groups * taps
    lines = -(-columns // lanes)
    return groups * taps * run * lines * lanes, groups * taps * -(-lines // PANEL)


@kernel
def pack_taps(first: int, last: int, w: Array, taps: Array, out: Array, groups: int, turned: bool) -> None:
    """Lay weights out in the order in which they are read; units are matrices: panels of a tap and a group.

    w: (K L, C / G, O), of which `taps` are taken in turn, each a matrix (C / G, O / G) of a group, or turned.
    out: group after group, blocks of depth, in them panels of two lines, or one that is left over, and in them the
    depths; where the columns fill at most half of a line, neighbours along the depth side by side instead.
    """
    size = w.itemsize
    lanes, block = REGISTER_BYTES // size, BLOCK_BYTES // size
    width, matrix = w.shape[2] // groups, (w.strides[1], size)
    run, columns = w.shape[1], width
    if turned:
        run, columns, matrix = width, w.shape[1], (matrix[1], matrix[0])
    depth, lines = taps.shape[0] * run, -(-columns // lanes)
    folds, panels = columns <= lanes // FOLD, -(-lines // PANEL)
    share = out.strides[0] * (out.shape[0] // groups)
    for unit in range(first, last):
        panel, tap = unit % panels, unit // panels % taps.shape[0]
        group = unit // panels // taps.shape[0]
        source = w.ctypes.data + taps[tap] * w.strides[0] + group * width * size
        target, begin, stop = out.ctypes.data + group * share, tap * run, (tap + 1) * run
        if folds:
            rows = run, run + (depth % FOLD if stop == depth else 0)
            _pack_folded((source, matrix[0], matrix[1]), columns, rows, target, begin, w)
            continue
        skipped = panel * PANEL
        beside, count = min(PANEL, lines - skipped), min(PANEL * lanes, columns - skipped * lanes)
        source += skipped * lanes * matrix[1]
        while begin < stop:
            top = begin // block * block
            end, deep = min(stop, top + block), min(block, depth - top)
            into = target + REGISTER_BYTES * (top * lines + skipped * deep + (begin - top) * beside)
            _pack_lines((source, matrix[0], matrix[1]), count, end - begin, into, beside * REGISTER_BYTES, w)
            source += (end - begin) * matrix[0]
            begin = end


@intrinsic
def _add_up(_context: Any, parts: Any, count: Any, step: Any, first: Any, last: Any, like: Any) -> Any:
    """Add to elements of the first part those of the others, `step` bytes apart."""

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        lines = Lines(builder, context.get_data_type(like.dtype))
        begin, size = arguments[0], WORD(lines.size)
        with loop(builder, arguments[3], arguments[4], lines.lanes) as n:
            place, mask, total = (
                moved(builder, begin, (n, size)),
                lines.mask(builder.sub(arguments[4], n)),
                lines.variable(),
            )
            total.set(lines.load(place, mask))
            with loop(builder, WORD(1), arguments[1]) as part:
                line = lines.load(moved(builder, place, (part, arguments[2])), mask)
                total.set(builder.fadd(total.get(), line))
            lines.store(total.get(), place, mask)
        return context.get_dummy_value()

    return types.none(parts, count, step, first, last, like), generate


@kernel
def add_parts(first: int, last: int, parts: Array) -> None:
    """Add all parts to the first; units are elements of it."""
    _add_up(parts.ctypes.data, parts.shape[0], parts.strides[0], first, last, parts)


@intrinsic
def _copy(_context: Any, source: Any, step: Any, count: Any, target: Any, like: Any) -> Any:
    """Copy `count` elements that are `step` bytes apart to where they adjoin."""

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        lines = Lines(builder, context.get_data_type(like.dtype))
        begin, apart, elements, into = arguments[:4]
        with loop(builder, WORD(0), elements) as n:
            lines.put(lines.get(moved(builder, begin, (n, apart))), moved(builder, into, (n, WORD(lines.size))))
        return context.get_dummy_value()

    return types.none(source, step, count, target, like), generate


@kernel
def deliver(first: int, last: int, sums: Array, by_channels: bool, dw: Array, db: Array) -> None:
    """Write sums (O, depth + 1), or the other way round for channels, to dw (depth, O) and db (O,).

    Units are depths, of which the bias is the last; db is (0,) for none.
    """
    size, depth = dw.itemsize, dw.shape[0]
    down, along = (sums.strides[0], size) if by_channels else (size, sums.strides[0])
    for row in range(first, last):
        begin, step, count = (dw.ctypes.data, row, dw.shape[1]) if row < depth else (db.ctypes.data, 0, db.size)
        _copy(sums.ctypes.data + row * down, along, count, begin + step * dw.strides[0], dw)
