"""The beginning of an HDF5 file, and the headers of its objects.

Source: The HDF Group, HDF5 File Format Specification, version 3.0, sections II.A and IV.A.1.a.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from nnx.hdf5.source import MalformedError, Source, part, unpack

SIGNATURE = b"\x89HDF\r\n\x1a\n"
CONTINUATION = 0x10

_LARGEST_HEADER = 1 << 20
_SHARED = 2


@dataclass(frozen=True)
class Message:
    """One fact in the header of an object."""

    kind: int
    body: bytes


def root_address(source: Source) -> int:
    """Return where the header of the root group lies, having checked that the file is whole."""
    if source.take(0, min(len(SIGNATURE), source.size)) != SIGNATURE:
        raise MalformedError("it does not begin as one")
    (version,) = unpack("B", source.take(8, 1))
    if version != 0:
        raise MalformedError(f"superblock version {version} is not read, only 0")
    *sizes, base, end, root = unpack("2B9xQ8xQ16xQ", source.take(13, 59))
    if sizes != [8, 8] or base != 0:
        raise MalformedError("only addresses of 8 bytes from the beginning of the file are read")
    if end != source.size:
        raise MalformedError(f"it should have {end} bytes, but has {source.size}")
    return root


def messages(source: Source, address: int) -> list[Message]:
    """Return the facts in the header of the object at `address`."""
    version, count, size = unpack("BxH4xI", source.take(address, 12))
    if version != 1:
        raise MalformedError(f"an object header of version 1 should stand at {address}")
    blocks, room, found = [(address + 16, size)], _LARGEST_HEADER, list[Message]()
    while blocks:
        start, size = blocks.pop(0)
        room -= max(size, 64)  # so that empty blocks, too, come to an end
        if room < 0:
            raise MalformedError(f"the object header at {address} is too large")
        for message in _in_block(source.take(start, size)):
            found.append(message)
            if message.kind == CONTINUATION:
                start, size = unpack("QQ", message.body)
                blocks.append((start, size))
    if len(found) != count:
        raise MalformedError(f"the object header at {address} should have {count} messages, not {len(found)}")
    return found


def only(found: Sequence[Message], kind: int) -> bytes | None:
    """Return the contents of the one message of a kind, or None if there is none."""
    bodies = [message.body for message in found if message.kind == kind]
    if len(bodies) > 1:
        raise MalformedError("an object header says the same thing twice")
    return bodies[0] if bodies else None


def _in_block(block: bytes) -> Iterator[Message]:
    place = 0
    while place + 8 <= len(block):
        kind, size, flags = unpack("HHB", block, place)
        if flags & _SHARED:
            raise MalformedError("an object header has shared messages")
        yield Message(kind, part(block, place + 8, size))
        place += 8 + size
