"""The members of a group in an HDF5 file, and the trees that lists of names and of chunks are kept in.

Source: The HDF Group, HDF5 File Format Specification, version 3.0, sections III.A to III.D and IV.A.2.g.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nnx.hdf5.headers import Message, only
from nnx.hdf5.source import UNDEFINED, MalformedError, Source, part, unpack

LINK_INFO, LINK, SYMBOL_TABLE = 0x2, 0x6, 0x11
MOST = 1 << 12
"""The most nodes of a tree, entries of a node and members of a group that are read."""

_SOFT_LINK = 2


def members(source: Source, found: Sequence[Message]) -> dict[str, int | None]:
    """Return name and address of each member of the group that has these messages; None is that of a link."""
    table, info = only(found, SYMBOL_TABLE), only(found, LINK_INFO)
    if table is not None:
        tree, heap = unpack("QQ", table)
        entries: Iterator[tuple[str, int | None]] = _symbols(source, tree, _heap(source, heap))
    elif info is not None:
        (flags,) = unpack("xB", info)
        if unpack("Q", info, 10 if flags & 1 else 2) != (UNDEFINED,):
            raise MalformedError("the names in its root are kept in a newer way than is read")
        entries = (_link(message.body) for message in found if message.kind == LINK)
    else:
        raise MalformedError("its root is not a group")
    named: dict[str, int | None] = {}
    for name, address in entries:
        if name in named or len(named) == MOST:
            raise MalformedError("its root has a name twice, or too many of them")
        named[name] = address
    return named


def leaves(source: Source, address: int, kind: int, key_size: int) -> Iterator[tuple[bytes, int]]:
    """Yield the key before, and the address of, each leaf of a B-tree of version 1."""
    nodes: list[tuple[int, int | None]] = [(address, None)]
    seen = set[int]()
    while nodes:
        address, expected = nodes.pop()
        given, level, used = source.node(address, b"TREE", "BBH")
        if given != kind or expected not in (None, level) or address in seen or used > MOST or len(seen) == MOST:
            raise MalformedError(f"the B-tree node at {address} is out of place")
        seen.add(address)
        body = source.take(address + 24, used * (key_size + 8))
        for place in range(0, len(body), key_size + 8):
            (child,) = unpack("Q", body, place + key_size)
            if level == 0:
                yield body[place : place + key_size], child
            else:
                nodes.append((child, level - 1))


def _symbols(source: Source, tree: int, names: bytes) -> Iterator[tuple[str, int | None]]:
    for _, address in leaves(source, tree, kind=0, key_size=8):
        (count,) = source.node(address, b"SNOD", "2xH")
        body = source.take(address + 8, count * 40)
        for place in range(0, len(body), 40):
            name, header, cached = unpack("QQI", body, place)
            link = cached == _SOFT_LINK or header == UNDEFINED
            yield _name(names, name), None if link else header


def _heap(source: Source, address: int) -> bytes:
    size, start = source.node(address, b"HEAP", "4xQ8xQ")
    return source.take(start, size)


def _name(names: bytes, start: int) -> str:
    end = names.find(b"\0", start)
    if end < 0:
        raise MalformedError("a name in it has no end")
    return names[start:end].decode(errors="backslashreplace")


def _link(body: bytes) -> tuple[str, int | None]:
    """Return name and address of a link that is a message; None is the address of a soft or external one."""
    version, flags = unpack("BB", body)
    if version != 1:
        raise MalformedError("it has a link of an unknown version")
    place = 2
    (kind,) = unpack("B", body, place) if flags & 8 else (0,)
    place += bool(flags & 8) + 8 * bool(flags & 4) + bool(flags & 16)
    width = "BHIQ"[flags & 3]
    (length,) = unpack(width, body, place)
    place += 1 << (flags & 3)
    name = part(body, place, length).decode(errors="backslashreplace")
    return name, unpack("Q", body, place + length)[0] if kind == 0 else None
