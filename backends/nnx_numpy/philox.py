"""Philox4x64-10 in NumPy: whole rows by `numpy.random.Philox`, many short rows by vectorised rounds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from nnx_numpy.workspace import row_blocks, workspace

Word: TypeAlias = NDArray[np.uint64]

WIDE = 256
"""Features from which a row at a time is faster: a seek costs 1.5 us, and so do the rounds of this many lanes."""

FEW = 128
"""Rows up to which a row at a time is faster however short: the 300 calls of the rounds cost 200 us at least."""

_LANES = 16
_LITTLE_ENDIAN = np.dtype("<u8")
_MULTIPLIERS = (0xD2E7470EE14C6C93, 0xCA5A826395121157)  # Salmon et al. 2011, table 2: M4x64
_WEYL = (0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B)  # the key's increments per round
_ROUNDS = 10
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)
_MASK = 0xFFFFFFFFFFFFFFFF
_UINT64 = np.dtype(np.uint64)
_ZERO: Word = np.zeros((1, 1), _UINT64)
_ZERO.flags.writeable = False


def lane_blocks(
    shape: tuple[int, int], step: int, seed: int, stream: int
) -> Iterator[tuple[slice, NDArray[np.uint16]]]:
    """Yield the 16-bit lanes of `random_bits`, some rows at a time, as (rows, features) in scratch."""
    rows, features = shape
    blocks = -(-features // _LANES)
    fill = _fill_by_row if features >= WIDE or rows <= FEW else _fill_by_rounds
    for part in row_blocks(rows, 4 * blocks):
        words = workspace.take("words", (part.stop - part.start, blocks, 4), _LITTLE_ENDIAN)
        fill(words, part, step, seed, stream)
        yield part, words.view("<u2").reshape(words.shape[0], -1)[:, :features]


def _fill_by_row(words: Word, part: slice, step: int, seed: int, stream: int) -> None:
    """Seek to each row's first block and let NumPy's generator run."""
    generator = np.random.Philox(key=np.array([seed, stream], np.uint64))
    state = generator.state
    counter = state["state"]["counter"]
    for row, out in enumerate(words.reshape(words.shape[0], -1), start=part.start):
        counter[:] = _before(row, step)
        generator.state = state
        out[:] = generator.random_raw(out.size)


def _before(row: int, step: int) -> tuple[int, int, int, int]:
    """The 256-bit counter (0, row, step, 0) minus one, because the generator increments before each block."""
    if row:
        return _MASK, row - 1, step, 0
    return _MASK, _MASK, (step - 1) & _MASK, 0 if step else _MASK


def _fill_by_rounds(words: Word, part: slice, step: int, seed: int, stream: int) -> None:
    """Run the rounds on all blocks together; the first ones, on words not yet mixed, are nearly free."""
    rows, blocks, _ = words.shape
    counter: tuple[Word, ...] = (
        workspace.counting(blocks).view(_UINT64).reshape(1, blocks),
        _from("row", part.start, rows).reshape(rows, 1),
        _from("step", step, 1).reshape(1, 1),
        _ZERO,
    )
    for number in range(_ROUNDS):
        keys = [np.uint64((key + number * weyl) & _MASK) for key, weyl in zip((seed, stream), _WEYL, strict=True)]
        counter = _round(counter, keys, "even" if number % 2 == 0 else "odd")
    for index, word in enumerate(counter):
        words[:, :, index] = word


def _from(slot: str, start: int, size: int) -> Word:
    """start, start + 1, ... in scratch."""
    out: Word = workspace.take(slot, (size,), _UINT64)
    return np.add(workspace.counting(size).view(_UINT64), np.uint64(start), out=out)


def _round(counter: tuple[Word, ...], keys: list[np.uint64], parity: str) -> tuple[Word, ...]:
    """One round, into the slots of its parity; the counter lies in those of the other."""
    c0, c1, c2, c3 = counter
    high0, low0 = _multiply(c0, _MULTIPLIERS[0], f"first {parity}")
    high1, low1 = _multiply(c2, _MULTIPLIERS[1], f"second {parity}")
    return (
        _xor(high1, c1, keys[0], f"third {parity}"),
        low1,
        _xor(high0, c3, keys[1], f"fourth {parity}"),
        low0,
    )


def _xor(high: Word, word: Word, key: np.uint64, slot: str) -> Word:
    rows, blocks = max(high.shape[0], word.shape[0]), max(high.shape[1], word.shape[1])
    out = workspace.take(slot, (rows, blocks), high.dtype)
    np.bitwise_xor(high, key, out=high)
    return np.bitwise_xor(high, word, out=out)


def _multiply(x: Word, constant: int, slot: str) -> tuple[Word, Word]:
    """Return the high and the low word of a 128-bit product, from products of 32-bit halves."""
    c_high, c_low = np.uint64(constant >> 32), np.uint64(constant) & _LOW
    x_high, x_low = workspace.like("x high", x), workspace.like("x low", x)
    middle, high = workspace.like("middle", x), workspace.like(f"{slot} high", x)
    np.right_shift(x, _HALF, out=x_high)
    np.bitwise_and(x, _LOW, out=x_low)
    np.multiply(x_low, c_low, out=middle)
    np.right_shift(middle, _HALF, out=middle)
    np.multiply(x_high, c_low, out=high)
    np.add(middle, high, out=middle)
    np.multiply(x_low, c_high, out=x_low)
    np.bitwise_and(middle, _LOW, out=high)
    np.add(x_low, high, out=x_low)  # the cross product and what the middle carries into its half
    np.right_shift(x_low, _HALF, out=x_low)
    np.right_shift(middle, _HALF, out=middle)
    np.multiply(x_high, c_high, out=high)
    np.add(high, middle, out=high)
    np.add(high, x_low, out=high)
    return high, np.multiply(x, np.uint64(constant), out=workspace.like(f"{slot} low", x))
