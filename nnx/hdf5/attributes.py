"""Attributes in an HDF5 file: texts and whole numbers.

Source: The HDF Group, HDF5 File Format Specification, version 3.0, sections III.E and IV.A.2.m.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nnx.hdf5.headers import Message
from nnx.hdf5.source import MalformedError, Source, padded, part, unpack
from nnx.hdf5.types import TEXT, VARIABLE, element_type, extents, kind

ATTRIBUTE = 0xC

_LARGEST_COLLECTION = 1 << 20
_LONGEST = 1 << 12


def attribute(source: Source, found: Sequence[Message], name: str) -> str | int | None:
    """Return an attribute of the object that has these messages, or None where there is none of that name."""
    bodies = (message.body for message in found if message.kind == ATTRIBUTE)
    values = [body for body in bodies if _name(body) == name]
    if not values:
        return None
    _, typed, shape, data = _parts(values[0])
    if len(values) > 1 or extents(shape) != ():
        raise MalformedError(f"attribute {name!r} is not one value")
    return _value(source, name, typed, data)


def _name(body: bytes) -> str:
    return _parts(body)[0].rstrip(b"\0").decode(errors="backslashreplace")


def _parts(body: bytes) -> tuple[bytes, ...]:
    """Return name, element type, shape and data."""
    version, name, typed, shape = unpack("BxHHH", body)
    if version not in (1, 3):
        raise MalformedError("it has an attribute of an unknown version")
    place, found = 8 if version == 1 else 9, list[bytes]()
    for length in (name, typed, shape):
        found.append(part(body, place, length))
        place += padded(length) if version == 1 else length
    return *found, body[place:]


def _value(source: Source, name: str, typed: bytes, data: bytes) -> str | int:
    element = element_type(typed)
    if isinstance(element, np.dtype) and element.kind in "iu":
        return int(np.frombuffer(part(data, 0, element.itemsize), element)[0])
    _, flags, size = unpack("BB2xI", typed)
    if kind(typed) == TEXT:
        return _text(name, part(data, 0, min(size, _LONGEST + 1)))
    if kind(typed) == VARIABLE and flags & 15 == 1:
        length, collection, index = unpack("IQI", data)
        return _text(name, _in_collection(source, collection, index)[:length])
    raise MalformedError(f"attribute {name!r} is neither a text nor a whole number")


def _text(name: str, data: bytes) -> str:
    if len(data) > _LONGEST:
        raise MalformedError(f"attribute {name!r} is too long")
    return data.split(b"\0")[0].decode(errors="backslashreplace")


def _in_collection(source: Source, address: int, wanted: int) -> bytes:
    """Return an object of a global heap, in which values of variable length lie."""
    version, size = source.node(address, b"GCOL", "B3xQ")
    if version != 1 or size > _LARGEST_COLLECTION:
        raise MalformedError(f"the global heap at {address} is of an unknown kind, or too large")
    body, place = source.take(address, size), 16
    while place + 16 <= len(body):
        index, length = unpack("H6xQ", body, place)
        if index == 0:
            break
        if index == wanted:
            return part(body, place + 16, length)
        place += 16 + padded(length)
    raise MalformedError(f"the global heap at {address} has no object {wanted}")
