"""Philox4x64-10 in NumPy: whole rows by `numpy.random.Philox`, many short rows by vectorised rounds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from nnx_numpy.plan import Plan
from nnx_numpy.workspace import row_blocks

Word: TypeAlias = NDArray[np.uint64]

_LANES = 16
_LITTLE_ENDIAN = np.dtype("<u8")
_MULTIPLIERS = (0xD2E7470EE14C6C93, 0xCA5A826395121157)  # Salmon et al. 2011, table 2: M4x64
_WEYL = (0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B)  # the key's increments per round
_ROUNDS = 10
_LOW = 0xFFFFFFFF
_MASK = 0xFFFFFFFFFFFFFFFF
_UINT64 = np.dtype(np.uint64)

_SEEK, _DRAWN = 1050, 0.9
"""Nanoseconds of a row at a time: per row, and per lane."""

_CALLS, _MIXED = 92_000, 2.2
"""Nanoseconds of the vectorised rounds: their 300 calls, and per lane."""


def lane_blocks(
    plan: Plan, shape: tuple[int, int], step: memoryview[int], seed: int, stream: int, sample: int = 0
) -> Iterator[tuple[slice, NDArray[np.uint16]]]:
    """Plan the 16-bit lanes of `random_bits` from row `sample` on: yield (some rows, lanes (n, F) in scratch)."""
    rows, features = shape
    blocks = -(-features // _LANES)
    by_row = rows * (_SEEK + _DRAWN * features) < _CALLS + _MIXED * rows * features
    fill = _fill_by_row if by_row else _fill_by_rounds
    for part in row_blocks(rows, 4 * blocks):
        words = plan.take("words", (part.stop - part.start, blocks, 4), _LITTLE_ENDIAN)
        fill(plan, words, sample + part.start, step, (seed, stream))
        yield part, words.view("<u2").reshape(words.shape[0], -1)[:, :features]


def _fill_by_row(plan: Plan, words: Word, start: int, step: memoryview[int], key: tuple[int, int]) -> None:
    """Seek to each row's first block and let NumPy's generator run."""
    plan(_draw, np.random.Philox(key=0), list(words.reshape(words.shape[0], -1)), start, step, key)


def _draw(
    generator: np.random.Philox, rows: list[Word], start: int, step: memoryview[int], key: tuple[int, int]
) -> None:
    """Draw each row's words after setting the counter to one less, since the generator increments it first.

    The state is made of tuples, which the generator reads in half the time that arrays take.
    """
    place: dict[str, Any] = {"key": key}
    rest = {"buffer": (0, 0, 0, 0), "buffer_pos": 4, "has_uint32": 0, "uinteger": 0}
    state: Any = {"bit_generator": "Philox", "state": place, **rest}
    count, number, draw = rows[0].size, step[()], generator.random_raw
    for row, out in enumerate(rows, start):
        place["counter"] = (_MASK, row - 1, number, 0) if row else _before_all_rows(number)
        generator.state = state
        out[...] = draw(count)


def _before_all_rows(step: int) -> tuple[int, int, int, int]:
    """Return the 256-bit counter (0, 0, step, 0) minus one."""
    return _MASK, _MASK, (step - 1) & _MASK, 0 if step else _MASK


def _fill_by_rounds(plan: Plan, words: Word, start: int, step: memoryview[int], key: tuple[int, int]) -> None:
    """Run the rounds on all blocks together; the first ones, on words not yet mixed, are nearly free."""
    rows, blocks, _ = words.shape
    number, zero = plan.take("step", (1, 1), _UINT64), plan.filled(0, 1, _UINT64)
    plan(_read, step, number)
    counter: tuple[Word, ...] = (
        plan.counting(blocks).view(_UINT64).reshape(1, blocks),
        plan.counting(start + rows)[start:].view(_UINT64).reshape(rows, 1),
        number,
        zero.reshape(1, 1),
    )
    for turn in range(_ROUNDS):
        keys = [(part + turn * weyl) & _MASK for part, weyl in zip(key, _WEYL, strict=True)]
        counter = _round(plan, counter, keys, "even" if turn % 2 == 0 else "odd")
    for index, word in enumerate(counter):
        plan.copy(word, words[:, :, index])


def _read(step: memoryview[int], out: Word) -> None:
    out[...] = step[()]


def _round(plan: Plan, counter: tuple[Word, ...], keys: list[int], parity: str) -> tuple[Word, ...]:
    """Plan one round, into the slots of its parity; the counter lies in those of the other."""
    c0, c1, c2, c3 = counter
    high0, low0 = _multiply(plan, c0, _MULTIPLIERS[0], f"first {parity}")
    high1, low1 = _multiply(plan, c2, _MULTIPLIERS[1], f"second {parity}")
    return (
        _xor(plan, high1, c1, keys[0], f"third {parity}"),
        low1,
        _xor(plan, high0, c3, keys[1], f"fourth {parity}"),
        low0,
    )


def _xor(plan: Plan, high: Word, word: Word, key: int, slot: str) -> Word:
    rows, blocks = max(high.shape[0], word.shape[0]), max(high.shape[1], word.shape[1])
    out = plan.take(slot, (rows, blocks), high.dtype)
    plan(np.bitwise_xor, high, key, high)
    plan(np.bitwise_xor, high, word, out)
    return out


def _multiply(plan: Plan, x: Word, constant: int, slot: str) -> tuple[Word, Word]:
    """Return the high and the low word of a 128-bit product, from products of 32-bit halves."""
    c_high, c_low = constant >> 32, constant & _LOW
    x_high, x_low = plan.like("x high", x), plan.like("x low", x)
    middle, high, low = plan.like("middle", x), plan.like(f"{slot} high", x), plan.like(f"{slot} low", x)
    plan(np.right_shift, x, 32, x_high)
    plan(np.bitwise_and, x, _LOW, x_low)
    plan(np.multiply, x_low, c_low, middle)
    plan(np.right_shift, middle, 32, middle)
    plan(np.multiply, x_high, c_low, high)
    plan(np.add, middle, high, middle)
    plan(np.multiply, x_low, c_high, x_low)
    plan(np.bitwise_and, middle, _LOW, high)
    plan(np.add, x_low, high, x_low)  # the cross product and what the middle carries into its half
    plan(np.right_shift, x_low, 32, x_low)
    plan(np.right_shift, middle, 32, middle)
    plan(np.multiply, x_high, c_high, high)
    plan(np.add, high, middle, high)
    plan(np.add, high, x_low, high)
    plan(np.multiply, x, constant, low)
    return high, low
