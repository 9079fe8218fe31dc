"""Moving elements for convolutions: padding images, packing weights, and adding parts up."""

from __future__ import annotations

from typing import Any

from nnx.interface import Array
from nnx_numba.gathering import address_of, word_at
from nnx_numba.internals import types
from nnx_numba.jit import intrinsic
from nnx_numba.kernel import kernel
from nnx_numba.lanes import WORD
from nnx_numba.lines import Lines, moved
from nnx_numba.vectors import loop


@intrinsic
def _copy_padded(_context: Any, source: Any, before: Any, length: Any, target: Any, total: Any, like: Any) -> Any:
    """Write `total` elements at an address: zeros, then `length` elements of the source, then zeros."""

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        lines = Lines(builder, context.get_data_type(like.dtype))
        origin, skipped, width, begin, all_of_it = arguments[:5]
        size, stop = WORD(lines.size), builder.add(skipped, width)

        def fill(first: Any, last: Any) -> None:
            with loop(builder, first, last, lines.lanes) as n:
                lines.store(lines.zeros, moved(builder, begin, (n, size)), lines.mask(builder.sub(last, n)))

        fill(WORD(0), skipped)
        into = moved(builder, begin, (skipped, size))
        with loop(builder, WORD(0), width, lines.lanes) as n:
            mask, step = lines.mask(builder.sub(width, n)), builder.mul(n, size)
            lines.store(lines.load(builder.add(origin, step), mask), builder.add(into, step), mask)
        fill(stop, all_of_it)
        return context.get_dummy_value()

    return types.none(source, before, length, target, total, like), generate


@kernel
def pad(first: int, last: int, x: Array, out: Array, above: int, left: int) -> None:
    """Put zeros around images; units are rows of the padded ones."""
    high, wide = out.shape[1], out.shape[2] * out.shape[3]
    for unit in range(first, last):
        image, row = unit // high, unit % high - above
        length = x.shape[2] * x.shape[3] if 0 <= row < x.shape[1] else 0
        source = x.ctypes.data + image * x.strides[0] + row * x.strides[1]
        _copy_padded(source, left * x.shape[3], length, out.ctypes.data + unit * out.strides[1], wide, x)


@intrinsic
def _pick(_context: Any, first: Any, last: Any, x: Any, order: Any, out: Any) -> Any:
    """Write elements first..last-1 of out: those of x in this order, or 0 for a negative place."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        lines = Lines(builder, context.get_data_type(x.dtype))
        source, places, target = (
            address_of(context, builder, kind, value)
            for kind, value in zip(signature.args[2:], arguments[2:], strict=True)
        )
        size = WORD(lines.size)
        with loop(builder, arguments[0], arguments[1]) as n:
            place = word_at(builder, places, n)
            there = builder.icmp_signed(">=", place, WORD(0))
            value = lines.get(moved(builder, source, (builder.select(there, place, WORD(0)), size)))
            lines.put(builder.select(there, value, lines.nothing), moved(builder, target, (n, size)))
        return context.get_dummy_value()

    return types.none(first, last, x, order, out), generate


@kernel
def pick(first: int, last: int, x: Array, order: Array, out: Array) -> None:
    """out[i] = x[order[i]], or 0 where order[i] < 0; units are elements."""
    _pick(first, last, x, order, out)


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
