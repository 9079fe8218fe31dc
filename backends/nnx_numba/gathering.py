"""The columns of a chunk of places: what their windows lie on, side by side in working memory.

A row for each place, rows a constant number of bytes apart: a product's tile then reaches all of its rows from one
address. A piece of a window is copied for all places before the next one; what a register writes beyond it
is written over, or stays as zeros behind the last.
"""

from __future__ import annotations

from typing import Any

from nnx_numba.internals import types
from nnx_numba.jit import intrinsic
from nnx_numba.lanes import WORD
from nnx_numba.lines import Lines, Variable, moved, words
from nnx_numba.vectors import loop
from nnx_numba.windows import BLOCK_BYTES

CHUNK = 96
"""Places of a chunk: whole tiles of every height."""

PITCH = BLOCK_BYTES + 64
"""Bytes from one place's columns to the next: a block, and a register more; an odd number of cache lines."""

SOURCES: int = CHUNK * PITCH
"""Where in working memory the table is that says where windows begin,"""

TARGETS: int = SOURCES + 8 * CHUNK
"""the one that says where results go,"""

ASIDE: int = TARGETS + 8 * CHUNK
"""and two registers for what goes nowhere."""


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
    """Write the addresses of `count` rows from the first on; whole chunks' others are `aside`.

    images: (address of the first, bytes to the next); offsets: elements' places, of `size` bytes, for an image's rows.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        begin, (start, step), itemsize, row, rows = (
            arguments[0],
            words(builder, arguments[1], 2),
            *arguments[3:6],
        )
        array = context.make_array(signature.args[2])(context, builder, arguments[2])
        per_image, places = builder.extract_value(array.shape, 0), builder.ptrtoint(array.data, WORD)
        place, image = Variable(builder, WORD), Variable(builder, WORD)
        place.set(builder.srem(row, per_image))
        image.set(moved(builder, start, (builder.sdiv(row, per_image), step)))
        with loop(builder, WORD(0), rows) as n:
            offset = word_at(builder, places, place.get())
            _put_word(builder, moved(builder, image.get(), (offset, itemsize)), begin, n)
            following = builder.add(place.get(), WORD(1))
            ends = builder.icmp_signed("==", following, per_image)
            image.set(builder.select(ends, builder.add(image.get(), step), image.get()))
            place.set(builder.select(ends, WORD(0), following))
        with loop(builder, rows, WORD(CHUNK)) as n:
            _put_word(builder, arguments[6], begin, n)
        return context.get_dummy_value()

    return types.none(table, images, offsets, size, first, count, aside), generate


@intrinsic
def gather(
    _context: Any, memory: Any, like: Any, pieces: Any, first: Any, stop: Any, count: Any, shift: Any
) -> Any:
    """Copy pieces first..stop-1 for the `count` places of `SOURCES`, `shift` bytes further on in every image."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        columns, lines = arguments[0], Lines(builder, context.get_data_type(signature.args[1].dtype))
        table = address_of(context, builder, signature.args[2], arguments[2])
        sources, size = builder.add(columns, WORD(SOURCES)), WORD(lines.size)
        with loop(builder, arguments[3], arguments[4]) as piece:
            entry = moved(builder, table, (piece, WORD(3 * 8)))
            where, length, place = (word_at(builder, entry, WORD(n)) for n in range(3))
            offset, into = moved(builder, arguments[6], (where, size)), moved(builder, columns, (place, size))
            mask = lines.mask(length)
            with loop(builder, WORD(0), arguments[5]) as n:
                line = lines.load(builder.add(word_at(builder, sources, n), offset), mask)
                lines.store(line, moved(builder, into, (n, WORD(PITCH))))
        return context.get_dummy_value()

    return types.none(memory, like, pieces, first, stop, count, shift), generate
