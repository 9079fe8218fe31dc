"""Damage that knows nothing of a format: what disks, networks and editors do to files, and the usual edge cases."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np

Random: TypeAlias = np.random.Generator
Corpus: TypeAlias = Sequence[bytes]
Mutation: TypeAlias = Callable[[Random, Corpus], bytes]
"""Makes one file from whole ones."""

_EDGES = (
    0,
    1,
    0x7F,
    0x80,
    0xFF,
    0x7FFF,
    0xFFFF,
    0x7FFFFFFF,
    0xFFFFFFFF,
    2**63 - 1,
    2**63,
    2**64 - 1,
    10**9,
    10**12,
)
"""Numbers at which sizes and addresses overflow."""


def pick(random: Random, items: Sequence[bytes]) -> bytes:
    """Return one of some contents."""
    return items[int(random.integers(len(items)))]


def _place(random: Random, length: int) -> int:
    """Return a place in a file: mostly near its beginning, where formats say what follows."""
    reach = min(length, int(2 ** random.uniform(3, 24))) if random.random() < 0.5 else length
    return int(random.integers(max(reach, 1)))


def flip_bits(random: Random, corpus: Corpus) -> bytes:
    """Flip one to sixteen bits."""
    data = bytearray(pick(random, corpus))
    for _ in range(2 ** int(random.integers(5))):
        data[_place(random, len(data))] ^= 1 << int(random.integers(8))
    return bytes(data)


def set_bytes(random: Random, corpus: Corpus) -> bytes:
    """Set one to sixteen bytes to anything."""
    data = bytearray(pick(random, corpus))
    for _ in range(2 ** int(random.integers(5))):
        data[_place(random, len(data))] = int(random.integers(256))
    return bytes(data)


def set_number(random: Random, corpus: Corpus) -> bytes:
    """Put a number at which sizes overflow in place of 1, 2, 4 or 8 bytes, at times on a boundary of its size."""
    data = bytearray(pick(random, corpus))
    for _ in range(int(random.integers(1, 4))):
        width = 2 ** int(random.integers(4))
        place = _place(random, len(data)) // width * width
        value = _EDGES[int(random.integers(len(_EDGES)))] % 256**width
        data[place : place + width] = value.to_bytes(width, ("little", "big")[int(random.integers(2))])
    return bytes(data)


def truncate(random: Random, corpus: Corpus) -> bytes:
    """Cut the end off."""
    data = pick(random, corpus)
    return data[: _place(random, len(data))]


def append(random: Random, corpus: Corpus) -> bytes:
    """Add zeros, noise or another file at the end."""
    extra = (bytes(4096), random.bytes(512), pick(random, corpus))
    return pick(random, corpus) + pick(random, extra)


def duplicate(random: Random, corpus: Corpus) -> bytes:
    """Repeat a part of a file, up to a thousand times."""
    data = pick(random, corpus)
    start, end = sorted(_place(random, len(data) + 1) for _ in range(2))
    count = min(2 ** int(random.integers(1, 11)), 1 + (1 << 20) // max(end - start, 1))
    return data[:start] + data[start:end] * count + data[end:]


def remove(random: Random, corpus: Corpus) -> bytes:
    """Take a part out."""
    data = pick(random, corpus)
    start, end = sorted(_place(random, len(data) + 1) for _ in range(2))
    return data[:start] + data[end:]


def splice(random: Random, corpus: Corpus) -> bytes:
    """Go on in another file, at the same place or at another."""
    first, second = pick(random, corpus), pick(random, corpus)
    place = _place(random, len(first))
    return first[:place] + second[place if random.random() < 0.5 else _place(random, len(second)) :]


def copy_within(random: Random, corpus: Corpus) -> bytes:
    """Put a part of a file, of the length of an address or a header, at another place."""
    data = bytearray(pick(random, corpus))
    width = (4, 8, 16, 40, 128)[int(random.integers(5))]
    source, target = _place(random, len(data)) // 8 * 8, _place(random, len(data)) // 8 * 8
    data[target : target + width] = data[source : source + width]
    return bytes(data)


def blank(random: Random, corpus: Corpus) -> bytes:
    """Fill a part with zeros, as a disk does that lost power."""
    data = bytearray(pick(random, corpus))
    start, end = sorted(_place(random, len(data) + 1) for _ in range(2))
    data[start:end] = bytes(end - start)
    return bytes(data)


def noise(random: Random, corpus: Corpus) -> bytes:
    """Make a file of nothing, or of noise behind the beginning of a whole one."""
    return pick(random, corpus)[: int(random.integers(64))] + random.bytes(int(random.integers(2000)))


ANY: tuple[Mutation, ...] = (
    *(flip_bits, flip_bits, set_bytes, set_bytes, set_number, set_number, copy_within),
    *(truncate, append, duplicate, remove, splice, blank, noise),
)
