"""Reference for `nnx.interface.dropout`: Philox4x64-10 in int64 arithmetic that any namespace has."""

from __future__ import annotations

from typing import Any

Array = Any

_MULTIPLIERS = (0xD2E7470EE14C6C93, 0xCA5A826395121157)  # Salmon et al. 2011, table 2: M4x64
_WEYL = (0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B)  # the key's increments per round
_ROUNDS = 10
_LOW = 0xFFFFFFFF
_WORD = 0xFFFFFFFFFFFFFFFF

Word = tuple[Array, Array]
"""A 64-bit word as two int64 arrays that hold its high and low 32 bits."""


def _split(value: int) -> tuple[int, int]:
    return value >> 32, value & _LOW


def _xor(a: Word, b: Word, key: int) -> Word:
    high, low = _split(key)
    return a[0] ^ b[0] ^ high, a[1] ^ b[1] ^ low


def _multiply(x: Word, constant: int) -> tuple[Word, Word]:
    """Return the high and the low word of a 128-bit product.

    Each partial product is below 2^64 and wraps into int64 with its bits intact, so that masking after every
    (arithmetic) shift gives the halves of the unsigned product.
    """
    c_high, c_low = _split(constant)
    low = x[1] * c_low
    middle = x[0] * c_low + ((low >> 32) & _LOW)
    cross = x[1] * c_high + (middle & _LOW)
    high = x[0] * c_high + ((middle >> 32) & _LOW) + ((cross >> 32) & _LOW)
    return ((high >> 32) & _LOW, high & _LOW), (cross & _LOW, low & _LOW)


def _philox(counter: tuple[Word, Word, Word, Word], seed: int, stream: int) -> tuple[Word, Word, Word, Word]:
    """Ten rounds of Philox4x64; the words of counter broadcast against each other."""
    c0, c1, c2, c3 = counter
    k0, k1 = seed, stream
    for _ in range(_ROUNDS):
        high0, low0 = _multiply(c0, _MULTIPLIERS[0])
        high1, low1 = _multiply(c2, _MULTIPLIERS[1])
        c0, c1, c2, c3 = _xor(high1, c1, k0), low1, _xor(high0, c3, k1), low0
        k0, k1 = (k0 + _WEYL[0]) & _WORD, (k1 + _WEYL[1]) & _WORD
    return c0, c1, c2, c3


def _word(value: Array) -> Word:
    return (value >> 32) & _LOW, value & _LOW


def lanes(xp: Any, step: Array, rows: int, features: int, seed: int, stream: int, first: int = 0) -> Array:
    """Return the 16-bit lanes of rows of `random_bits`, from the first on, as an int64 array (rows, features)."""
    blocks = -(-features // 16)
    sample = xp.reshape(xp.arange(first, first + rows, dtype=xp.int64), (rows, 1))
    block = xp.reshape(xp.arange(blocks, dtype=xp.int64), (1, blocks))
    grid = sample * 0 + block * 0  # (N, B) zeros: every word is a full array, where int64 wraps silently
    counter = (_word(grid + block), _word(grid + sample), _word(grid + step), _word(grid))
    words = _philox(counter, seed, stream)
    quarters = [half >> shift & 0xFFFF for high, low in words for half in (low, high) for shift in (0, 16)]
    return xp.reshape(xp.stack(quarters, axis=2), (rows, blocks * 16))[:, :features]


def random_bits(xp: Any, step: Array, out: Array, seed: int, stream: int) -> None:
    """out = 16 random bits per element."""
    out[...] = xp.astype(lanes(xp, step, out.shape[0], out.shape[1], seed, stream), out.dtype)


def dropout(
    xp: Any, x: Array, step: Array, y: Array, seed: int, stream: int, threshold: int, sample: int = 0
) -> None:
    """y = x 65536 / threshold where kept, else 0."""
    keep = lanes(xp, step, x.shape[0], x.shape[1], seed, stream, sample) < threshold
    y[...] = xp.where(keep, x * (65536 / threshold), xp.zeros_like(x))


def channel_dropout(
    xp: Any, x: Array, step: Array, y: Array, seed: int, stream: int, threshold: int, sample: int = 0
) -> None:
    """y = x 65536 / threshold in channels that are kept, else 0."""
    keep = lanes(xp, step, x.shape[0], x.shape[2], seed, stream, sample) < threshold  # (N, C)
    y[...] = xp.where(keep[:, None, :], x * (65536 / threshold), xp.zeros_like(x))
