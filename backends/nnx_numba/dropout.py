"""Philox4x64-10 by 64-bit products, sixteen random lanes to a block."""

from __future__ import annotations

import numpy as np

from nnx.interface import Array, Backend
from nnx_numba.hostarrays import GRAIN, plain
from nnx_numba.instructions import multiply_high, stack
from nnx_numba.jit import device
from nnx_numba.kernel import kernel

_MULTIPLIER_0, _MULTIPLIER_1 = np.uint64(0xD2E7470EE14C6C93), np.uint64(0xCA5A826395121157)
_WEYL_0, _WEYL_1 = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBB67AE8584CAA73B)
_ROUNDS = 10
_LANES = 16
_WORDS = 64  # four words of sixteen blocks
_CHUNK = 256  # their lanes
_PIECE = 4096  # features of one unit of work, a multiple of _CHUNK


@device
def fill(words: Array, start: int, sample: int, step: int, seed: int, stream: int) -> None:
    """Write the words of sixteen consecutive blocks, beginning with the one of feature `start`."""
    for block in range(_WORDS // 4):
        c0, c1 = np.uint64(start // _LANES + block), np.uint64(sample)
        c2, c3 = np.uint64(step), np.uint64(0)
        k0, k1 = np.uint64(seed), np.uint64(stream)
        for _ in range(_ROUNDS):
            high0, low0 = multiply_high(c0, _MULTIPLIER_0), c0 * _MULTIPLIER_0
            high1, low1 = multiply_high(c2, _MULTIPLIER_1), c2 * _MULTIPLIER_1
            c0, c1, c2, c3 = high1 ^ c1 ^ k0, low1, high0 ^ c3 ^ k1, low0
            k0, k1 = k0 + _WEYL_0, k1 + _WEYL_1
        words[4 * block], words[4 * block + 1] = c0, c1
        words[4 * block + 2], words[4 * block + 3] = c2, c3


@kernel
def random_bits(first: int, last: int, step: Array, out: Array, seed: int, stream: int) -> None:
    """Write lanes; units are pieces of rows."""
    words = stack(np.uint64(0), _WORDS)
    lanes = words.view(np.uint16)
    pieces = (out.shape[1] + _PIECE - 1) // _PIECE
    for unit in range(first, last):
        row, begin = out[unit // pieces], unit % pieces * _PIECE
        for start in range(begin, min(begin + _PIECE, row.size), _CHUNK):
            fill(words, start, unit // pieces, step[()], seed, stream)
            chunk = row[start : start + _CHUNK]
            for i in range(chunk.size):
                chunk[i] = lanes[i]


@kernel
def dropout(
    first: int,
    last: int,
    x: Array,
    step: Array,
    y: Array,
    seed: int,
    stream: int,
    threshold: int,
) -> None:
    """Scale what is kept; units are pieces of rows."""
    words = stack(np.uint64(0), _WORDS)
    lanes = words.view(np.uint16)
    pieces = (x.shape[1] + _PIECE - 1) // _PIECE
    scale, limit = x.dtype.type(65536 / threshold), np.int32(threshold)
    for unit in range(first, last):
        source, row, begin = x[unit // pieces], y[unit // pieces], unit % pieces * _PIECE
        for start in range(begin, min(begin + _PIECE, row.size), _CHUNK):
            fill(words, start, unit // pieces, step[()], seed, stream)
            values, chunk = source[start : start + _CHUNK], row[start : start + _CHUNK]
            for i in range(chunk.size):
                scaled = values[i] * scale
                chunk[i] = scaled if lanes[i] < limit else x.dtype.type(0)


def _work(x: Array) -> tuple[int, int]:
    """Number of units, and units to a grain: a random lane costs about as much as eight plain elements."""
    pieces = -(-x.shape[1] // _PIECE)
    return x.shape[0] * pieces, max(1, GRAIN // 8 // max(min(x.shape[1], _PIECE), 1))


class Dropout(Backend):
    """Counter-based random bits."""

    def random_bits(self, step: Array, out: Array, seed: int, stream: int) -> None:
        """Sixteen blocks at a time."""
        random_bits(*_work(out), plain(step), out, _signed(seed), _signed(stream))

    def dropout(self, x: Array, step: Array, y: Array, seed: int, stream: int, threshold: int) -> None:
        """One pass: bits go from registers to the mask."""
        key = _signed(seed), _signed(stream)
        dropout(*_work(x), plain(x), plain(step), y, *key, threshold)


def _signed(word: int) -> int:
    """The same 64 bits as a signed number, so that every seed has one Numba type."""
    return word - (1 << 64) if word >> 63 else word
