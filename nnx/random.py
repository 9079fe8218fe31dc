"""Random numbers for the host: initial weights, shuffles and splits, all from one counter-based scheme.

Philox4x64-10 (Salmon et al. 2011) with the key (seed, stream), as in the dropout kernel. Only the raw 64-bit
stream of `numpy.random.Philox` is used, which NumPy guarantees never to change; the distributions are made of
it here, so that a seed means the same weights with every version of NumPy.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from nnx.errors import OptionError

Floats = NDArray[np.float64]

_BLOCK = 1 << 14
"""Values drawn at a time: what they are made from stays in the cache, and takes no memory that would count."""


def check_seed(seed: object) -> int:
    """Return a valid seed as an int.

    Raises:
        OptionError: not an integer from 0 to 2^64 - 1.
    """
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or not 0 <= int(seed) < 2**64:
        raise OptionError(f"seed must be an integer from 0 to 2**64 - 1, got {seed!r}.")
    return int(seed)


def stream_of(path: str) -> int:
    """Turn the path of a thing that needs random numbers ("2.dropout", "shuffle") into its stream."""
    return int.from_bytes(hashlib.blake2b(path.encode(), digest_size=8).digest(), "little")


def raw_words(count: int, seed: int, stream: int, position: int = 0) -> NDArray[np.uint64]:
    """Return `count` random 64-bit words; each `position` (an epoch, say) has words of its own."""
    generator = np.random.Philox(key=seed + (stream << 64), counter=position << 128)
    return generator.random_raw(count)


def uniform(shape: tuple[int, ...], seed: int, stream: int) -> Floats:
    """Draw from [0, 1) with 53 random bits each; float64 of the given shape, and no memory beside it."""
    values = np.empty(math.prod(shape))
    units = _Units(seed, stream)
    for block in _blocks(values):
        block[...] = units.draw(block.size)
    return values.reshape(shape)


def normal(shape: tuple[int, ...], seed: int, stream: int) -> Floats:
    """Draw from the standard normal distribution; float64 of the given shape, and no memory beside it.

    The radii come from the first half of the stream's words, the angles from the second; the cosines of all pairs
    come before the sines.

    Source: Box & Muller 1958.
    """
    values = np.empty(math.prod(shape))
    half = (values.size + 1) // 2
    radii, angles = _Units(seed, stream), _Units(seed, stream, half)
    for start in range(0, half, _BLOCK):
        stop = min(start + _BLOCK, half)
        radius = np.sqrt(-2.0 * np.log1p(-radii.draw(stop - start)))
        angle = 2.0 * np.pi * angles.draw(stop - start)
        values[start:stop] = radius * np.cos(angle)
        sines = values[half + start : half + stop]  # one fewer than cosines where the number of values is odd
        sines[...] = (radius * np.sin(angle))[: sines.size]
    return values.reshape(shape)


class _Units:
    """Numbers of [0, 1) with 53 random bits each, one after another."""

    def __init__(self, seed: int, stream: int, skipped: int = 0) -> None:
        blocks, words = divmod(skipped, 4)  # a step of the counter gives four words
        self._generator = np.random.Philox(key=seed + (stream << 64), counter=blocks)
        self._generator.random_raw(words)

    def draw(self, count: int) -> Floats:
        words = self._generator.random_raw(count)
        unit: Floats = (words >> np.uint64(11)).astype(np.float64) * 2.0**-53
        return unit


def _blocks(values: Floats) -> Iterator[Floats]:
    return (values[start : start + _BLOCK] for start in range(0, values.size, _BLOCK))


def permutation(count: int, seed: int, stream: int, position: int = 0) -> NDArray[np.int64]:
    """Return a random permutation of 0..count-1, a different one for every `position`.

    Each row gets a random key in whose low bits its own number stands: sorting the keys shuffles the rows, no
    two keys are equal, and a sort of plain integers is the fastest that NumPy has.
    """
    low = np.uint64((1 << count.bit_length()) - 1)
    keys = raw_words(count, seed, stream, position)
    keys &= ~low
    keys |= np.arange(count, dtype=np.uint64)
    keys.sort()
    keys &= low
    return keys.view(np.int64)
