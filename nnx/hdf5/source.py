"""Numbers and bytes from places in a file that may lead anywhere."""

from __future__ import annotations

import struct
from io import BufferedReader
from typing import Any

import numpy as np
from numpy.typing import NDArray

UNDEFINED = (1 << 64) - 1
"""The address of what does not exist."""


class MalformedError(Exception):
    """The bytes are not the HDF5 that is read here; the text says what is wrong, as a clause."""


class Source:
    """The bytes of an open file; every read lies within them."""

    def __init__(self, stream: BufferedReader, size: int) -> None:
        """Read from a stream of so many bytes."""
        self._stream, self.size = stream, size

    def take(self, address: int, count: int) -> bytes:
        """Return `count` bytes from `address` on."""
        self._go_to(address, count)
        taken = self._stream.read(count)
        if len(taken) != count:
            raise MalformedError("it became shorter while it was read")
        return taken

    def fill(self, address: int, target: NDArray[Any]) -> None:
        """Read the elements of an array from `address` on."""
        self._go_to(address, target.nbytes)
        if self._stream.readinto(target.reshape(-1).view(np.uint8).data) != target.nbytes:
            raise MalformedError("it became shorter while it was read")

    def _go_to(self, address: int, count: int) -> None:
        if address + count > self.size:
            raise MalformedError(f"{count} bytes at {address} would lie beyond its end, at {self.size}")
        self._stream.seek(address)

    def node(self, address: int, signature: bytes, layout: str) -> tuple[int, ...]:
        """Return the numbers that follow a signature, laid out as for `struct.unpack`."""
        head = self.take(address, len(signature) + struct.calcsize("<" + layout))
        if not head.startswith(signature):
            raise MalformedError(f"{signature.decode()} should stand at {address}, not {head[: len(signature)]!r}")
        return unpack(layout, head, len(signature))


def unpack(layout: str, body: bytes, offset: int = 0) -> tuple[int, ...]:
    """Return little-endian numbers from a place in a part of the file."""
    try:
        return struct.unpack_from("<" + layout, body, offset)
    except struct.error:
        raise MalformedError("a part of it ends too early") from None


def part(body: bytes, offset: int, count: int) -> bytes:
    """Return `count` bytes from a place in a part of the file."""
    if offset + count > len(body):
        raise MalformedError("a part of it ends too early")
    return body[offset : offset + count]


def padded(count: int) -> int:
    """Return a length filled up to a multiple of eight."""
    return -(-count // 8) * 8
