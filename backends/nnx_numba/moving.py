"""Moving elements for convolutions: padding images, packing weights, and adding parts up."""

from __future__ import annotations

from typing import Any

from nnx.interface import Array
from nnx_numba.internals import types
from nnx_numba.jit import intrinsic
from nnx_numba.kernel import kernel
from nnx_numba.lanes import WORD
from nnx_numba.lines import Lines, Strided, moved
from nnx_numba.packing import pack
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


@kernel
def pick(first: int, last: int, x: Array, order: Array, out: Array) -> None:
    """out[i] = x[order[i]], or 0 where order[i] < 0; units are elements."""
    for i in range(first, last):
        out[i] = x[max(order[i], 0)] if order[i] >= 0 else x.dtype.type(0)


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
def _turn(_context: Any, source: Any, wide: Any, rows: Any, columns: Any, target: Any, like: Any) -> Any:
    """Write a matrix's columns, whose elements are `wide` bytes apart, as rows of `rows` elements."""

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        lines = Lines(builder, context.get_data_type(like.dtype))
        size = WORD(lines.size)
        turned = Strided(arguments[0], size, arguments[1])
        into = Strided(arguments[4], builder.mul(arguments[2], size), size)
        pack(lines, turned, arguments[2], arguments[3], into)
        return context.get_dummy_value()

    return types.none(source, wide, rows, columns, target, like), generate


@kernel
def deliver(first: int, last: int, parts: Array, dw: Array, db: Array | None) -> None:
    """Write the first of parts (parts, O, depth + 1) to dw (depth, O) and db (O,); units are depths, the bias last.

    Where there are no parts, zeros.
    """
    size, depth, outputs = dw.itemsize, dw.shape[0], dw.shape[1]
    if parts.shape[0] == 0:
        dw[first:last] = 0
        if db is not None:
            db[:] = 0
        return
    sums, wide = parts.ctypes.data, parts.strides[1]
    count = min(last, depth) - first
    _turn(sums + first * size, wide, outputs, count, dw.ctypes.data + first * dw.strides[0], dw)
    if db is not None and last > depth:
        _turn(sums + depth * size, wide, outputs, 1, db.ctypes.data, dw)


@kernel
def deliver_channels(first: int, last: int, parts: Array, dw: Array, db: Array | None) -> None:
    """Write the first of parts (parts, depth + 1, C) to dw (depth, C) and db (C,); units as in `deliver`."""
    for row in range(first, last):
        for channel in range(dw.shape[1]):
            total = parts[0, row, channel] if parts.shape[0] > 0 else dw.dtype.type(0)
            if row < dw.shape[0]:
                dw[row, channel] = total
            elif db is not None:
                db[channel] = total
