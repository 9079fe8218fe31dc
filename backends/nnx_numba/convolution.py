"""Convolutions: images are padded once, then what windows lie on is gathered and weighed chunk by chunk."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnx.interface import Array, Window
from nnx_numba import windows
from nnx_numba.activations import Activations, forward_entry
from nnx_numba.convolving import FOLD, convolve
from nnx_numba.correlating import correlate
from nnx_numba.depthwise import convolve_channels, correlate_channels
from nnx_numba.gathering import CHUNK
from nnx_numba.hostarrays import GRAIN, flat, plain
from nnx_numba.kernel import pack_row
from nnx_numba.launches import scratch
from nnx_numba.lines import REGISTER_BYTES
from nnx_numba.moving import add_parts, deliver, pad, pick
from nnx_numba.windows import BLOCK_BYTES, Padding, Reading

_GRAIN = 60_000  # products of lines that are worth a thread: some ten microseconds
_PARTS = 16  # parts of the places that have sums of their own, at most,
_LEAST = 4  # with so many chunks at least,
_ROOM = 1 << 22  # and so many elements for all of them together

_NOTHING = {kind: np.empty(0, kind) for kind in ("f", "d")}
_NO_ROW = np.empty(0, np.int64)


def working(kind: Any, *shapes: tuple[int, ...]) -> list[NDArray[Any]]:
    """Return uninitialised arrays that live as long as the kernels that are now run, or collected."""
    sizes = [-(-int(np.prod(shape)) * kind.itemsize // 64) * 8 for shape in shapes]
    memory = scratch(sum(sizes) + 8)
    place = -memory.ctypes.data % 64 // 8
    found = []
    for shape, size in zip(shapes, sizes, strict=True):
        found.append(memory[place : place + size].view(kind)[: int(np.prod(shape))].reshape(shape))
        place += size
    return found


@lru_cache(256)
def _forward(window: Window, extents: Any, counts: Any, groups: int, itemsize: int) -> tuple[Reading, Array]:
    """Return what is read, and the order of the weights."""
    channels, outputs = counts
    reading = windows.forward(window, extents, channels, groups, outputs, itemsize)
    columns = outputs // groups
    group, depth, column = np.ix_(np.arange(groups), reading.order, np.arange(columns))
    order = depth * outputs + group * columns + column
    return reading, _packed_order(order, itemsize, _by_channels(channels, outputs, groups))


@lru_cache(256)
def _backward(
    window: Window, extents: Any, counts: Any, groups: int, itemsize: int
) -> tuple[tuple[Reading, Array], ...]:
    """Return the same for the gradient of the images, for every remainder."""
    channels, outputs = counts
    columns, width = channels // groups, outputs // groups
    found = []
    for reading in windows.backward(window, extents, channels, groups, outputs, itemsize):
        group, depth, column = np.ix_(np.arange(groups), reading.order, np.arange(columns))
        tap, output = depth // width, depth % width
        order = (tap * columns + column) * outputs + group * width + output
        found.append((reading, _packed_order(order, itemsize, _by_channels(channels, outputs, groups))))
    return tuple(found)


def _by_channels(channels: int, outputs: int, groups: int) -> bool:
    """Whether every channel has one filter of its own."""
    return 1 < channels == outputs == groups


def _packed_order(order: NDArray[np.int64], itemsize: int, by_channels: bool) -> NDArray[np.int64]:
    """Return weights (G, depth, columns), given as indices, as lines that are read in turn; -1 stands for 0.

    Block after block of depth, panel after panel of at most two lines; or, where the columns fill at most half of
    a line, neighbours along the depth side by side; or, where every group is one channel, tap after tap.
    """
    groups, depth, columns = order.shape
    if by_channels:
        return np.ascontiguousarray(order[:, :, 0].T).ravel()
    lanes, deep = REGISTER_BYTES // itemsize, BLOCK_BYTES // itemsize
    if columns <= lanes // FOLD:
        steps = -(-depth // FOLD)
        folded = np.full((groups, steps * FOLD, lanes // FOLD), -1, np.int64)
        folded[:, :depth, :columns] = order
        return folded.reshape(groups, steps, FOLD, lanes // FOLD).swapaxes(2, 3).ravel()
    wide = np.full((groups, depth, -(-columns // lanes) * lanes), -1, np.int64)
    wide[:, :, :columns] = order
    blocks = [
        wide[:, first : first + deep, column : column + 2 * lanes].reshape(groups, -1)
        for first in range(0, depth, deep)
        for column in range(0, columns, 2 * lanes)
    ]
    return np.concatenate([np.empty((groups, 0), np.int64), *blocks], axis=1).ravel()


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
        reading, order = _forward(window, x.shape[1:3], (x.shape[3], y.shape[3]), groups, x.itemsize)
        padding = windows.forward_padding(window, x.shape[1:3])
        padded, weights = working(x.dtype, _padded_shape(x, padding), order.shape)
        _pack(w, order, weights)
        bias = _NOTHING[x.dtype.char] if b is None else plain(b)
        entry, row = 0, _NO_ROW
        if activation != "identity":
            arguments = flat(y), flat(y), float(alpha)
            entry, row = forward_entry(activation, arguments), pack_row(arguments)
        _convolve(_padded(x, padding, padded), reading, weights, bias, y, groups, entry, row)

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


def _pack(w: Array, order: Array, memory: Array) -> None:
    pick(order.size, GRAIN // 8, flat(w), order, memory)


def _convolve(
    x: Array, reading: Reading, weights: Array, bias: Array, out: Array, groups: int, entry: int, row: Array
) -> None:
    chunks = -(-x.shape[0] * reading.places.size // CHUNK)
    cost = CHUNK * weights.size * x.itemsize // REGISTER_BYTES
    if _by_channels(x.shape[3], out.shape[3], groups):
        convolve_channels(chunks, _GRAIN // max(cost, 1), x, *reading[:3], weights, bias, out, entry, row)
        return
    convolve(chunks, _GRAIN // max(cost, 1), x, *reading[:4], weights, bias, out, groups, entry, row)


def _images_gradient(gradient: Array, w: Array, dx: Array, window: Window, groups: int) -> None:
    padding = windows.backward_padding(window, dx.shape[1:3])
    counts = dx.shape[3], gradient.shape[3]
    readings = _backward(window, dx.shape[1:3], counts, groups, dx.itemsize)
    orders = [order.shape for _, order in readings]
    memory, *packed = working(dx.dtype, _padded_shape(gradient, padding), *orders)
    padded = _padded(gradient, padding, memory)
    for (reading, order), weights in zip(readings, packed, strict=True):
        _pack(w, order, weights)
        _convolve(padded, reading, weights, _NOTHING[dx.dtype.char], dx, groups, 0, _NO_ROW)


def _weights_gradient(x: Array, gradient: Array, dw: Array, db: Array | None, window: Window, groups: int) -> None:
    outputs, depth = gradient.shape[3], dw.size // max(gradient.shape[3], 1)
    by_channels = _by_channels(x.shape[3], outputs, groups)
    reading = _forward(window, x.shape[1:3], (x.shape[3], outputs), groups, x.itemsize)[0]
    padding = windows.forward_padding(window, x.shape[1:3])
    parts, share = _parts(-(-x.shape[0] * reading.places.size // CHUNK), dw.size)
    shape = (parts, depth + 1, outputs) if by_channels else (parts, outputs, depth + 1)
    memory, sums = working(x.dtype, _padded_shape(x, padding), shape)
    _correlate(
        _padded(x, padding, memory), reading, gradient.reshape(-1, outputs), sums, share, groups, by_channels
    )
    if parts > 1:
        add_parts(shape[1] * shape[2], GRAIN, sums)
    total = sums[0] if parts else np.zeros(shape[1:], x.dtype)
    bias = _NOTHING[x.dtype.char] if db is None else db
    deliver(depth + 1, max(1, GRAIN // max(outputs, 1)), total, by_channels, dw.reshape(-1, outputs), bias)


def _parts(chunks: int, weights: int) -> tuple[int, int]:
    """Return how many parts of the places have sums of their own, and the chunks of a part."""
    share = max(-(-chunks // max(1, min(chunks // _LEAST, _PARTS, _ROOM // max(weights, 1)))), 1)
    return -(-chunks // share), share


def _correlate(
    x: Array, reading: Reading, dz: Array, parts: Array, share: int, groups: int, by_channels: bool
) -> None:
    blocks, cost = (
        reading.blocks.shape[0],
        share * CHUNK * parts.shape[1] * parts.shape[2] * x.itemsize // REGISTER_BYTES,
    )
    if by_channels:
        tables = reading.places, reading.pieces
        correlate_channels(parts.shape[0], _GRAIN // max(cost, 1), x, *tables, dz, parts, share)
    else:
        units = parts.shape[0] * blocks
        correlate(
            *(units, _GRAIN * blocks // max(cost, 1), x, reading.places, reading.pieces, reading.blocks),
            *(dz, parts, share, groups),
        )
