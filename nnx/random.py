"""Random numbers for the host: initial weights, shuffles and splits, all from one counter-based scheme.

Philox4x64-10 (Salmon et al. 2011) with the key (seed, stream), as in the dropout kernel. Only the raw 64-bit
stream of `numpy.random.Philox` is used, which NumPy guarantees never to change; the distributions are made of
it here, so that a seed means the same weights with every version of NumPy.
"""

from __future__ import annotations

import hashlib
import math

import numpy as np
from numpy.typing import NDArray

from nnx.errors import OptionError

Floats = NDArray[np.float64]


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
    """Draw from [0, 1) with 53 random bits each; float64 of the given shape."""
    words = raw_words(math.prod(shape), seed, stream)
    unit: Floats = (words >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return unit.reshape(shape)


def normal(shape: tuple[int, ...], seed: int, stream: int) -> Floats:
    """Draw from the standard normal distribution; float64 of the given shape.

    Source: Box & Muller 1958.
    """
    count = math.prod(shape)
    pairs = uniform((2, (count + 1) // 2), seed, stream)
    radius, angle = np.sqrt(-2.0 * np.log1p(-pairs[0])), 2.0 * np.pi * pairs[1]
    return np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])[:count].reshape(shape)


def permutation(count: int, seed: int, stream: int, position: int = 0) -> NDArray[np.int64]:
    """Return a random permutation of 0..count-1, a different one for every `position`.

    Each row gets a random key in whose low bits its own number stands: sorting the keys shuffles the rows, no
    two keys are equal, and a sort of plain integers is the fastest that NumPy has.
    """
    low = np.uint64((1 << count.bit_length()) - 1)
    keys = (raw_words(count, seed, stream, position) & ~low) | np.arange(count, dtype=np.uint64)
    return (np.sort(keys) & low).astype(np.int64)
