"""Moving elements for convolutions: padding images, packing weights, and adding parts up."""

from __future__ import annotations

from typing import Any

from nnx.interface import Array
from nnx_numba.gathering import address_of
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


@kernel
def pick(first: int, last: int, x: Array, order: Array, out: Array) -> None:
    """out[i] = x[order[i]], or 0 where order[i] < 0; units are elements."""
    for i in range(first, last):
        out[i] = x[max(order[i], 0)] if order[i] >= 0 else x.dtype.type(0)


@intrinsic
def _add_up(_context: Any, parts: Any, count: Any, step: Any, first: Any, last: Any, out: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        lines = Lines(builder, context.get_data_type(out.dtype))
        begin, target = arguments[0], address_of(context, builder, signature.args[5], arguments[5])
        size = WORD(lines.size)
        with loop(builder, arguments[3], arguments[4], lines.lanes) as n:
            mask, total = lines.mask(builder.sub(arguments[4], n)), lines.variable()
            total.set(lines.zeros)
            with loop(builder, WORD(0), arguments[1]) as part:
                place = moved(builder, begin, (part, arguments[2]), (n, size))
                total.set(builder.fadd(total.get(), lines.load(place, mask)))
            lines.store(total.get(), moved(builder, target, (n, size)), mask)
        return context.get_dummy_value()

    return types.none(parts, count, step, first, last, out), generate


@kernel
def add_parts(first: int, last: int, parts: Array, skipped: int, out: Array) -> None:
    """Sum over parts from an element of theirs on; units are elements of out."""
    _add_up(
        parts.ctypes.data + skipped * parts.itemsize, parts.shape[0], parts.strides[0], first, last, out
    )
