"""Copying elements so that those used one after the other lie one after the other."""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from nnx_numba.lanes import WORD
from nnx_numba.lines import REGISTER_BYTES, Lines, Strided, moved
from nnx_numba.vectors import loop, smaller

_AHEAD = 16
"""Lines that are fetched ahead: rows of a large matrix lie pages apart, where the processor itself does not."""

_ROWS_AHEAD = 2
"""Rows of several panels that are fetched ahead."""


def pack(lines: Lines, source: Strided, width: Any, deep: Any, target: Strided) -> None:
    """Copy `deep` lines of `width` elements to below each other; elements of a target's line adjoin.

    The elements of a line of the source, or of a column, must adjoin.
    """
    words = [source.address, source.row, source.column, width, deep, target.address, target.row]
    lines.builder.call(_function(lines), words)


def pack_panels(lines: Lines, source: Strided, width: Any, deep: Any, target: Any) -> None:
    """Copy `deep` lines of `width` elements to panels, each two registers wide, one behind the other.

    Where the elements of a line adjoin, all panels are filled line by line: of what lies pages apart, as much as
    possible is read at a time.
    """
    builder, panel = lines.builder, WORD(2 * lines.lanes)
    adjoin = builder.icmp_signed("==", source.column, WORD(lines.size))
    with builder.if_else(adjoin) as (copied, turned):
        with copied:
            _emit_rows(lines, source, width, deep, target)
        with turned, loop(builder, WORD(0), width, panel) as begin:
            part = Strided(source.at(builder, WORD(0), begin), source.row, source.column)
            place = moved(builder, target, (builder.mul(begin, deep), WORD(lines.size)))
            there = Strided(place, WORD(2 * REGISTER_BYTES), WORD(lines.size))
            pack(lines, part, smaller(builder, panel, builder.sub(width, begin)), deep, there)


def _emit_rows(lines: Lines, source: Strided, width: Any, deep: Any, target: Any) -> None:
    builder, panel = lines.builder, 2 * lines.lanes
    with loop(builder, WORD(0), deep) as k:
        first = moved(builder, target, (k, WORD(2 * REGISTER_BYTES)))
        with loop(builder, WORD(0), width, panel) as begin:
            into = moved(builder, first, (builder.mul(begin, deep), WORD(lines.size)))
            for n in range(2):
                column = builder.add(begin, WORD(n * lines.lanes))
                lines.fetch(source.at(builder, builder.add(k, WORD(_ROWS_AHEAD)), column))
                mask = lines.mask(builder.sub(width, column))
                line = lines.load(source.at(builder, k, column), mask)
                lines.store(line, builder.add(into, WORD(n * REGISTER_BYTES)))


def _function(lines: Lines) -> Any:
    """Emit the code once to a module: products pack both operands."""
    module, name = lines.builder.module, f"nnx.pack.{lines.size}"
    if name in module.globals:
        return module.globals[name]
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [WORD] * 7), name)
    function.linkage = "internal"
    function.attributes.add("noinline")
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    address, row, column, width, deep, into, stride = function.args
    own = Lines(builder, lines.element)
    _emit(own, Strided(address, row, column), width, deep, Strided(into, stride, WORD(lines.size)))
    builder.ret_void()
    return function


def _emit(lines: Lines, source: Strided, width: Any, deep: Any, target: Strided) -> None:
    builder = lines.builder
    adjoin = builder.icmp_signed("==", source.column, WORD(lines.size))
    with loop(builder, WORD(0), width, lines.lanes) as begin:
        first = Strided(source.at(builder, WORD(0), begin), source.row, source.column)
        into = Strided(target.at(builder, WORD(0), begin), target.row, target.column)
        rest = builder.sub(width, begin)
        with builder.if_else(adjoin) as (copied, turned):
            with copied:
                mask = lines.mask(rest)
                with loop(builder, WORD(0), deep) as k:
                    lines.fetch(first.at(builder, builder.add(k, WORD(_AHEAD)), WORD(0)))
                    line = lines.load(first.at(builder, k, WORD(0)), mask)
                    lines.store(line, into.at(builder, k, WORD(0)), mask)
            with turned, loop(builder, WORD(0), deep, lines.lanes) as k:
                squares = Strided(first.at(builder, k, WORD(0)), first.row, first.column)
                place = Strided(into.at(builder, k, WORD(0)), into.row, into.column)
                _emit_square(lines, squares, rest, builder.sub(deep, k), place)


def _emit_square(lines: Lines, source: Strided, width: Any, deep: Any, target: Strided) -> None:
    """Turn a whole square, the elements of one with few lines, or part of a square."""
    builder, lanes = lines.builder, WORD(lines.lanes)
    part_width = smaller(builder, width, lanes)
    whole = builder.and_(builder.icmp_signed(">=", deep, lanes), builder.icmp_signed(">=", width, lanes))
    with builder.if_else(whole) as (full, part):
        with full:
            _turn(lines, source, target, None, None)
        with part, builder.if_else(builder.icmp_signed("<=", deep, WORD(lines.lanes // 4))) as (few, many):
            with few, loop(builder, WORD(0), deep) as k, loop(builder, WORD(0), part_width) as n:
                lines.put(lines.get(source.at(builder, k, n)), target.at(builder, k, n))
            with many:
                _turn(lines, source, target, width, deep)


def _turn(lines: Lines, source: Strided, target: Strided, width: Any, deep: Any) -> None:
    """Copy a square of columns, whose elements adjoin, to lines; or the part of it that is there."""
    found = [lines.load(*_part(lines, source.transposed, n, width, deep)) for n in range(lines.lanes)]
    for n, line in enumerate(lines.transposed(found)):
        lines.store(line, *_part(lines, target, n, deep, width))


def _part(lines: Lines, matrix: Strided, n: int, count: Any, width: Any) -> tuple[Any, Any]:
    """Return where line n is, and the mask of its first `width` lanes; None for a whole square.

    A line beyond the last is an empty part of the first: where a page is missing, even what a mask keeps untouched
    costs hundreds of cycles.
    """
    builder = lines.builder
    place = matrix.at(builder, WORD(n), WORD(0))
    if count is None:
        return place, None
    within = builder.icmp_signed("<", WORD(n), count)
    return builder.select(within, place, matrix.address), lines.mask_if(within, lines.mask(width))
