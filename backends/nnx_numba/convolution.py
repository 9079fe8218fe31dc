"""Convolutions: images are padded once, then what windows lie on is gathered and weighed chunk by chunk.

The scratch that a call takes holds the padded batch, if there is padding, and the packed weights; for the
gradient of the weights the padded batch, and sums of at most `_PARTS` parts of the places. The gathered columns
of a chunk are in the thread's working memory, whatever the batch. Between calls only tables of a window's places
and taps are kept.
"""

from __future__ import annotations

import numpy as np

from nnx.interface import Array, Window
from nnx_numba.activations import Activations, forward_entry
from nnx_numba.hostarrays import GRAIN, NO_WORDS, PRODUCTS, flat, or_nothing, plain, row_grain
from nnx_numba.images import readings
from nnx_numba.images.chunks import CHUNK
from nnx_numba.images.depthwise import convolve_channels, sum_channel_gradients
from nnx_numba.images.padding import pad
from nnx_numba.images.products import convolve
from nnx_numba.images.readings import Padding, Reading
from nnx_numba.images.weight_gradients import sum_gradients
from nnx_numba.images.weights import add_parts, deliver, pack_taps, packed
from nnx_numba.indexing import ONLY, take_rows, words_of
from nnx_numba.kernel import pack_row
from nnx_numba.launches import rooms
from nnx_numba.lines import REGISTER_BYTES

_PARTS = 16  # parts of the places that have sums of their own, at most,
_LEAST = 4  # with so many chunks at least,
_ROOM = 1 << 22  # and so many elements for all of them together


def _by_channels(channels: int, outputs: int, groups: int) -> bool:
    """Whether every channel has one filter of its own."""
    return 1 < channels == outputs == groups


class _Weights:
    """Weights (K, L, C / G, O), or those of the gradient of the images, as they are read for one reading."""

    def __init__(self, w: Array, reading: Reading, groups: int, turned: bool) -> None:
        """Take the taps that are read, and whether matrices are read by their columns."""
        self._w, self._taps, self._groups, self._turned = plain(w), reading.taps, groups, turned
        self._w = self._w.reshape(w.shape[0] * w.shape[1], *w.shape[2:])
        rows, columns = self._w.shape[1], w.shape[3] // groups
        self._by_channels = _by_channels(rows * groups, w.shape[3], groups)
        run, columns = (columns, rows) if turned else (rows, columns)
        self.size, self._count = packed(groups, self._taps.size, run, columns, w.itemsize)
        if self._by_channels:
            self.size = self._taps.size * w.shape[3]

    def pack(self, out: Array) -> None:
        """Lay them out; where every group is one channel, tap after tap."""
        if self._by_channels:
            rows, count = words_of(out.reshape(self._taps.size, self._w.shape[2])), self._taps.size
            take_rows(count, row_grain(rows.shape[1]), words_of(self._w), self._taps, ONLY, rows, count)
            return
        grain = GRAIN * self._count // max(self.size, 1)
        pack_taps(self._count, grain, self._w, self._taps, out, self._groups, self._turned)


class Convolution(Activations):
    """Kernels that slide weights over images."""

    def conv2d(
        self,
        x: Array,
        w: Array,
        b: Array | None,
        y: Array,
        window: Window,
        groups: int,
        activation: str,
        alpha: float,
    ) -> None:
        """Every chunk of places is gathered, weighed and activated while it is in cache."""
        reading = readings.forward(window, x.shape[1:3], x.shape[3], groups, y.shape[3], x.itemsize)
        padding, packing = readings.forward_padding(window, x.shape[1:3]), _Weights(w, reading, groups, False)
        padded, weights = rooms(x.dtype, _padded_shape(x, padding), (packing.size,))
        packing.pack(weights)
        entry, row = 0, NO_WORDS
        if activation != "identity":
            arguments = flat(y), flat(y), float(alpha)
            entry, row = forward_entry(activation, arguments), pack_row(arguments)
        _convolve(_padded(x, padding, padded), reading, weights, b, y, groups, entry, row)

    def conv2d_backward(
        self,
        x: Array,
        y: Array,
        dy: Array,
        w: Array,
        dz: Array | None,
        dx: Array | None,
        dw: Array,
        db: Array | None,
        window: Window,
        groups: int,
        activation: str,
        alpha: float,
    ) -> None:
        """dz in one pass; dx as a convolution of dz by turned weights; dw and db in parts that are then added."""
        if dz is not None:
            self.activate_backward(y, y, dy, dz, activation, alpha)
        gradient = plain(dy) if dz is None else dz
        if dx is not None:
            _images_gradient(gradient, w, dx, window, groups)
        _weights_gradient(x, gradient, dw, db, window, groups)


def _padded_shape(x: Array, padding: Padding) -> tuple[int, ...]:
    return (0,) if padding.none else (x.shape[0], *padding.padded, x.shape[3])


def _padded(x: Array, padding: Padding, memory: Array) -> Array:
    """Return images with their padding."""
    if padding.none:
        return plain(x)
    rows = memory.shape[0] * memory.shape[1]
    pad(rows, max(1, GRAIN // max(memory.shape[2] * memory.shape[3], 1)), plain(x), memory, *padding.before)
    return memory


def _convolve(
    x: Array, reading: Reading, weights: Array, b: Array | None, out: Array, groups: int, entry: int, row: Array
) -> None:
    chunks, (bias,) = -(-x.shape[0] * reading.places.size // CHUNK), or_nothing(x, 1, b)
    grain = PRODUCTS // max(CHUNK * weights.size * x.itemsize // REGISTER_BYTES, 1)
    if _by_channels(x.shape[3], out.shape[3], groups):
        convolve_channels(chunks, grain, x, *reading[:3], weights, bias, out, entry, row)
        return
    convolve(chunks, grain, x, *reading[:4], weights, bias, out, groups, entry, row)


def _images_gradient(gradient: Array, w: Array, dx: Array, window: Window, groups: int) -> None:
    padding = readings.backward_padding(window, dx.shape[1:3])
    phases = readings.backward(window, dx.shape[1:3], dx.shape[3], groups, gradient.shape[3], dx.itemsize)
    packings = [_Weights(w, reading, groups, True) for reading in phases]
    memory, *room = rooms(dx.dtype, _padded_shape(gradient, padding), *((part.size,) for part in packings))
    padded = _padded(gradient, padding, memory)
    for reading, packing, weights in zip(phases, packings, room, strict=True):
        packing.pack(weights)
        _convolve(padded, reading, weights, None, dx, groups, 0, NO_WORDS)


def _weights_gradient(x: Array, gradient: Array, dw: Array, db: Array | None, window: Window, groups: int) -> None:
    outputs, depth = gradient.shape[3], dw.size // max(gradient.shape[3], 1)
    by_channels = _by_channels(x.shape[3], outputs, groups)
    reading = readings.forward(window, x.shape[1:3], x.shape[3], groups, outputs, x.itemsize)
    padding = readings.forward_padding(window, x.shape[1:3])
    parts, share = _parts(-(-x.shape[0] * reading.places.size // CHUNK), dw.size)
    shape = (parts, depth + 1, outputs) if by_channels else (parts, outputs, depth + 1)
    memory, sums = rooms(x.dtype, _padded_shape(x, padding), shape)
    _sum_gradients(
        _padded(x, padding, memory), reading, gradient.reshape(-1, outputs), sums, share, groups, by_channels
    )
    if parts > 1:
        add_parts(shape[1] * shape[2], GRAIN, sums)
    total = sums[0] if parts else np.zeros(shape[1:], x.dtype)
    (bias,) = or_nothing(x, 1, db)
    deliver(depth + 1, max(1, GRAIN // max(outputs, 1)), total, by_channels, dw.reshape(-1, outputs), bias)


def _parts(chunks: int, weights: int) -> tuple[int, int]:
    """Return how many parts of the places have sums of their own, and the chunks of a part."""
    share = max(-(-chunks // max(1, min(chunks // _LEAST, _PARTS, _ROOM // max(weights, 1)))), 1)
    return -(-chunks // share), share


def _sum_gradients(
    x: Array, reading: Reading, dz: Array, parts: Array, share: int, groups: int, by_channels: bool
) -> None:
    blocks, cost = (
        reading.blocks.shape[0],
        share * CHUNK * parts.shape[1] * parts.shape[2] * x.itemsize // REGISTER_BYTES,
    )
    if by_channels:
        tables = reading.places, reading.pieces
        sum_channel_gradients(parts.shape[0], PRODUCTS // max(cost, 1), x, *tables, dz, parts, share)
    else:
        units = parts.shape[0] * blocks
        sum_gradients(
            *(units, PRODUCTS * blocks // max(cost, 1), x, reading.places, reading.pieces, reading.blocks),
            *(dz, parts, share, groups),
        )
