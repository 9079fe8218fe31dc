"""Convolutions of every channel by itself: vectors along the channels, and nothing to gather."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir

from nnx.interface import Array
from nnx_numba.images.chunks import ASIDE, CHUNK, SOURCES, TARGETS, address_of, list_rows, run_entry, word_at
from nnx_numba.internals import types
from nnx_numba.jit import intrinsic
from nnx_numba.kernel import kernel
from nnx_numba.lanes import WORD, fill
from nnx_numba.lines import Lines, moved, words
from nnx_numba.vectors import loop, smaller

TOGETHER = 8
"""Sums that are taken together; instead of those behind the last, the last is taken again."""


class _Channels:
    """Emits sums over taps, or over places, of a line of channels at a time."""

    def __init__(self, lines: Lines, memory: Any, taps: tuple[Any, Any], channels: Any) -> None:
        """Take working memory, where taps lie: (address of a table, how many), and the channels."""
        self.lines, self.builder, self.channels = lines, lines.builder, channels
        self._sources, self._targets = (lines.builder.add(memory, WORD(place)) for place in (SOURCES, TARGETS))
        self._taps, self.taps = taps

    def weigh(self, count: Any, weights: Any, bias: Any) -> None:
        """Make the results of `count` places."""
        builder, lines = self.builder, self.lines
        sums = [lines.variable() for _ in range(TOGETHER)]
        given, row = builder.icmp_signed("!=", bias, WORD(0)), self._bytes(self.channels)
        with loop(builder, WORD(0), count, TOGETHER) as first:
            places = self._together(first, count)
            sources = [word_at(builder, self._sources, place) for place in places]
            with loop(builder, WORD(0), self.channels, lines.lanes) as channel:
                mask, step = lines.mask(builder.sub(self.channels, channel)), self._bytes(channel)
                place = builder.select(given, builder.add(bias, step), weights)
                start = lines.load(place, lines.mask_if(given, mask))
                for total in sums:
                    total.set(start)
                with loop(builder, WORD(0), self.taps) as tap:
                    weight = lines.load(moved(builder, builder.add(weights, step), (tap, row)), mask)
                    offset = builder.add(self._offset(tap), step)
                    for total, source in zip(sums, sources, strict=True):
                        value = lines.load(builder.add(source, offset), mask)
                        total.set(lines.added(total.get(), value, weight))
                for total, place in zip(sums, places, strict=True):
                    lines.store(total.get(), builder.add(word_at(builder, self._targets, place), step), mask)

    def sum_gradients(self, count: Any, gradient: Any, out: Any, fresh: Any) -> None:
        """Add up what `count` places say of the weights of all taps, and behind them of the bias."""
        builder, lines, row = self.builder, self.lines, self._bytes(self.channels)
        with loop(builder, WORD(0), self.channels, lines.lanes) as channel:
            mask, step = lines.mask(builder.sub(self.channels, channel)), self._bytes(channel)
            first, begin = builder.add(gradient, step), builder.add(out, step)
            masks = mask, lines.mask_if(builder.not_(fresh), mask)
            with loop(builder, WORD(0), self.taps, TOGETHER) as tap:
                taps = self._together(tap, self.taps)
                offsets = [builder.add(self._offset(place), step) for place in taps]
                targets = [moved(builder, begin, (place, row)) for place in taps]

                def products(share: Any, n: Any, mask: Any = mask, offsets: Any = offsets) -> list[tuple[Any, Any]]:
                    source = word_at(builder, self._sources, n)
                    return [(lines.load(builder.add(source, offset), mask), share) for offset in offsets]

                self._add_up(count, first, targets, masks, products)
            ones = fill(builder, lines.type, ir.Constant(lines.element, 1.0))
            target = moved(builder, begin, (self.taps, row))
            self._add_up(count, first, [target], masks, lambda share, _: [(ones, share)])

    def _add_up(
        self,
        count: Any,
        gradient: Any,
        targets: list[Any],
        masks: tuple[Any, Any],
        products: Callable[[Any, Any], list[tuple[Any, Any]]],
    ) -> None:
        """Add a product for every target and place; masks: the channels, and those that go on from the targets."""
        builder, lines, row = self.builder, self.lines, self._bytes(self.channels)
        sums = [lines.variable() for _ in targets]
        for total, target in zip(sums, targets, strict=True):
            total.set(lines.load(target, masks[1]))
        with loop(builder, WORD(0), count) as n:
            share = lines.load(moved(builder, gradient, (n, row)), masks[0])
            for total, factors in zip(sums, products(share, n), strict=True):
                total.set(lines.added(total.get(), *factors))
        for total, target in zip(sums, targets, strict=True):
            lines.store(total.get(), target, masks[0])

    def _bytes(self, channel: Any) -> Any:
        return self.builder.mul(channel, WORD(self.lines.size))

    def _offset(self, tap: Any) -> Any:
        """Where a tap lies, from where the window begins: the first word of a piece's three."""
        return self._bytes(word_at(self.builder, self._taps, self.builder.mul(tap, WORD(3))))

    def _together(self, first: Any, count: Any) -> list[Any]:
        last = self.builder.sub(count, WORD(1))
        return [smaller(self.builder, self.builder.add(first, WORD(n)), last) for n in range(TOGETHER)]


@intrinsic
def _weigh(_context: Any, memory: Any, pieces: Any, weights: Any, bias: Any, channels: Any, count: Any) -> Any:
    """Make the results of the `count` places of `SOURCES`."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        lines = Lines(builder, context.get_data_type(weights.dtype))
        taps = _table(context, builder, signature.args[1], arguments[1])
        factors = address_of(context, builder, signature.args[2], arguments[2])
        offset = lines.optional(context.make_array(bias)(context, builder, arguments[3]))
        _Channels(lines, arguments[0], taps, arguments[4]).weigh(arguments[5], factors, offset)
        return context.get_dummy_value()

    return types.none(memory, pieces, weights, bias, channels, count), generate


@intrinsic
def _sum_gradients(
    _context: Any,
    memory: Any,
    pieces: Any,
    gradient: Any,
    out: Any,
    channels: Any,
    count: Any,
    fresh: Any,
    like: Any,
) -> Any:
    """Add up the gradients of the weights, at addresses, for the `count` places of `SOURCES`."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        lines = Lines(builder, context.get_data_type(like.dtype))
        taps = _table(context, builder, signature.args[1], arguments[1])
        emitted = _Channels(lines, arguments[0], taps, arguments[4])
        emitted.sum_gradients(arguments[5], arguments[2], arguments[3], arguments[6])
        return context.get_dummy_value()

    return types.none(memory, pieces, gradient, out, channels, count, fresh, like), generate


def _table(context: Any, builder: Any, kind: Any, value: Any) -> tuple[Any, Any]:
    """Return a matrix's address, and its rows."""
    array = context.make_array(kind)(context, builder, value)
    return builder.ptrtoint(array.data, WORD), words(builder, array.shape, 2)[0]


@kernel
def convolve_channels(
    first: int,
    last: int,
    memory: int,
    x: Array,
    places: Array,
    spots: Array,
    pieces: Array,
    weights: Array,
    bias: Array,
    out: Array,
    activation: int,
    row: Array,
) -> None:
    """As `convolve`, with weights (taps, C); units are chunks of places."""
    size, total, channels = x.itemsize, x.shape[0] * places.shape[0], out.shape[3]
    for unit in range(first, last):
        start = unit * CHUNK
        count = min(CHUNK, total - start)
        source, target = (x.ctypes.data, x.strides[0]), (out.ctypes.data, out.strides[0])
        list_rows(memory + SOURCES, source, places, size, start, count, memory)
        list_rows(memory + TARGETS, target, spots, size, start, count, memory + ASIDE)
        _weigh(memory, pieces, weights, bias, channels, count)
        if activation != 0:
            run_entry(activation, row, start * channels, (start + count) * channels, memory)


@kernel
def sum_channel_gradients(
    first: int, last: int, memory: int, x: Array, places: Array, pieces: Array, dz: Array, parts: Array, chunks: int
) -> None:
    """As `sum_gradients`, with parts (parts, taps + 1, C); units are parts of the places."""
    total, source = dz.shape[0], (x.ctypes.data, x.strides[0])
    for unit in range(first, last):
        begin, out = unit * chunks * CHUNK, parts.ctypes.data + unit * parts.strides[0]
        for start in range(begin, min(begin + chunks * CHUNK, total), CHUNK):
            count = min(CHUNK, total - start)
            list_rows(memory + SOURCES, source, places, x.itemsize, start, count, memory)
            gradient = dz.ctypes.data + start * dz.strides[0]
            _sum_gradients(memory, pieces, gradient, out, dz.shape[1], count, start == begin, x)
