"""The columns of a chunk of places: what their windows lie on, side by side in working memory.

A row for each place, rows a constant number of bytes apart: a product's tile then reaches all of its rows from one
address. A piece of a window is copied for all places before the next one; what a register writes beyond it
is written over, or stays as zeros behind the last.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from nnx_numba.images.readings import BLOCK_BYTES
from nnx_numba.internals import types
from nnx_numba.jit import intrinsic
from nnx_numba.lanes import WORD, fill
from nnx_numba.lines import REGISTER_BYTES, Lines, Variable, moved, words
from nnx_numba.vectors import loop, loop_while, smaller

CHUNK = 96
"""Places of a chunk: whole tiles of every height."""

PITCH = BLOCK_BYTES + 64
"""Bytes from one place's columns to the next: a block, and a register more; an odd number of cache lines."""

SOURCES: int = CHUNK * PITCH
"""Where in working memory the table is that says where windows begin,"""

TARGETS: int = SOURCES + 8 * CHUNK
"""the one that says where results go,"""

ASIDE: int = TARGETS + 8 * CHUNK
"""two registers for what goes nowhere,"""

LAST: int = ASIDE + 128
"""and room for a tile's elements of every place."""

SHORT = 16
"""Bytes of the shortest register that a piece is copied by: a long one that straddles cache lines costs twice."""


def word_at(builder: Any, table: Any, n: Any) -> Any:
    """Read a word of a table."""
    place = builder.inttoptr(moved(builder, table, (n, WORD(8))), WORD.as_pointer())
    return builder.load(place, align=8, typ=WORD)


def _put_word(builder: Any, value: Any, table: Any, n: Any) -> None:
    builder.store(value, builder.inttoptr(moved(builder, table, (n, WORD(8))), WORD.as_pointer()), align=8)


def address_of(context: Any, builder: Any, kind: Any, value: Any) -> Any:
    """Return the address of an array's elements."""
    return builder.ptrtoint(context.make_array(kind)(context, builder, value).data, WORD)


@intrinsic
def list_rows(
    _context: Any, table: Any, images: Any, offsets: Any, size: Any, first: Any, count: Any, aside: Any
) -> Any:
    """Write the addresses of `count` rows from the first on; `aside` for those that a chunk has beyond them.

    images: (address of the first, bytes to the next); offsets: an image's rows, in elements of `size` bytes.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        images = words(builder, arguments[1], 2)
        array = context.make_array(signature.args[2])(context, builder, arguments[2])
        offsets = builder.ptrtoint(array.data, WORD), builder.extract_value(array.shape, 0)
        _emit_list(Lines(builder, ir.DoubleType()), arguments[0], images, offsets, arguments[3:])
        return context.get_dummy_value()

    return types.none(table, images, offsets, size, first, count, aside), generate


def _emit_list(lines: Lines, table: Any, images: list[Any], offsets: tuple[Any, Any], given: Any) -> None:
    """Go from image to image, and through each in lines of words, which are as long as those of float64."""
    builder, (places, per_image), (size, first, count, aside) = lines.builder, offsets, given
    kind = ir.VectorType(WORD, lines.lanes)
    done, image, place = (Variable(builder, WORD) for _ in range(3))
    done.set(WORD(0))
    image.set(moved(builder, images[0], (builder.sdiv(first, per_image), images[1])))
    place.set(builder.srem(first, per_image))
    with loop_while(builder, lambda: builder.icmp_signed("<", done.get(), count)):
        begin, origin = done.get(), place.get()
        run = smaller(builder, builder.sub(per_image, origin), builder.sub(count, begin))
        start, factor = fill(builder, kind, image.get()), fill(builder, kind, size)
        with loop(builder, WORD(0), run, lines.lanes) as n:
            mask = lines.mask(builder.sub(run, n))
            offset = lines.load(moved(builder, places, (builder.add(origin, n), WORD(8))), mask)
            found = builder.add(start, builder.mul(builder.bitcast(offset, kind), factor))
            into = moved(builder, table, (builder.add(begin, n), WORD(8)))
            lines.store(builder.bitcast(found, lines.type), into, mask)
        done.set(builder.add(begin, run))
        image.set(builder.add(image.get(), images[1]))
        place.set(WORD(0))
    with loop(builder, count, WORD(CHUNK)) as n:
        _put_word(builder, aside, table, n)


@intrinsic
def gather(
    _context: Any, memory: Any, like: Any, pieces: Any, first: Any, stop: Any, count: Any, shift: Any
) -> Any:
    """Copy pieces first..stop-1 for the `count` places of `SOURCES`, `shift` bytes further on in every image."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        columns, lines = arguments[0], Lines(builder, context.get_data_type(signature.args[1].dtype))
        table = address_of(context, builder, signature.args[2], arguments[2])
        with loop(builder, arguments[3], arguments[4]) as piece:
            entry = moved(builder, table, (piece, WORD(3 * 8)))
            where, length, place = (word_at(builder, entry, WORD(n)) for n in range(3))
            offset = moved(builder, arguments[6], (where, WORD(lines.size)))
            into = moved(builder, columns, (place, WORD(lines.size)))
            _emit_by_length(lines, SHORT, columns, (offset, into), length, arguments[5])
        return context.get_dummy_value()

    return types.none(memory, like, pieces, first, stop, count, shift), generate


def _emit_by_length(lines: Lines, wide: int, *given: Any) -> None:
    """Copy a piece by registers of `wide` bytes if these hold it, else by wider ones."""
    builder = lines.builder
    if wide >= REGISTER_BYTES:
        _emit_copies(lines, *given)
        return
    narrow = Lines(builder, lines.element, wide)
    with builder.if_else(builder.icmp_signed("<=", given[2], WORD(narrow.lanes))) as (short, long):
        with short:
            _emit_copies(narrow, *given)
        with long:
            _emit_by_length(lines, 2 * wide, *given)


def _emit_copies(lines: Lines, columns: Any, places: tuple[Any, Any], length: Any, count: Any) -> None:
    """Copy a piece for all places; what is stored behind it are zeros."""
    builder, mask = lines.builder, lines.mask(length)
    sources, (offset, into) = builder.add(columns, WORD(SOURCES)), places
    with loop(builder, WORD(0), count) as n:
        line = lines.load(builder.add(word_at(builder, sources, n), offset), mask)
        lines.store(line, moved(builder, into, (n, WORD(PITCH))))


@intrinsic
def run_entry(_context: Any, entry: Any, row: Any, first: Any, last: Any, memory: Any) -> Any:
    """Run another kernel, by the address of its entry, on its units first..last-1."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kinds = [WORD] * 4
        function = ir.FunctionType(ir.VoidType(), kinds).as_pointer()
        table = address_of(context, builder, signature.args[1], arguments[1])
        builder.call(builder.inttoptr(arguments[0], function), [table, *arguments[2:]])
        return context.get_dummy_value()

    return types.none(entry, row, first, last, memory), generate
