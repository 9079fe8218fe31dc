"""Zeros around images."""

from __future__ import annotations

from typing import Any

from nnx.interface import Array
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
