"""Element types and shapes as they stand in an HDF5 file.

Source: The HDF Group, HDF5 File Format Specification, version 3.0, sections IV.A.2.b and IV.A.2.d.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nnx.hdf5.source import MalformedError, unpack

WHOLE, REAL, TEXT, VARIABLE = 0, 1, 3, 9
"""Classes of element types."""

_KINDS = (
    *("integer", "float", "time", "text", "bits", "opaque bytes", "compound", "reference"),
    *("enumeration", "variable length", "array"),
)
# By size, place of the sign, and how exponent and mantissa lie, with the exponent's bias.
_IEEE: dict[tuple[int, int, bytes], np.dtype[Any]] = {
    (2, 15, bytes.fromhex("00001000 0a05000a 0f000000")): np.dtype("<f2"),
    (4, 31, bytes.fromhex("00002000 17080017 7f000000")): np.dtype("<f4"),
    (8, 63, bytes.fromhex("00004000 340b0034 ff030000")): np.dtype("<f8"),
}


def kind(body: bytes) -> int:
    """Return the class of an element type."""
    return unpack("B", body)[0] & 15


def element_type(body: bytes) -> np.dtype[Any] | str:
    """Return the element type that a message describes: of NumPy if it is a plain number, else its name."""
    flags, sign, size = unpack("xBBxI", body)
    if kind(body) == WHOLE:
        bits, precision = unpack("HH", body, 8)
        if size in (1, 2, 4, 8) and not flags & 6 and (bits, precision) == (0, 8 * size):
            return np.dtype(f"{'>' if flags & 1 else '<'}{'i' if flags & 8 else 'u'}{size}")
    if kind(body) == REAL:
        found = _IEEE.get((size, sign, body[8:20]))
        if found is not None and flags & ~1 == 0x20:
            return found.newbyteorder(">") if flags & 1 else found
    return _KINDS[kind(body)] if kind(body) < len(_KINDS) else "unknown"


def extents(body: bytes) -> tuple[int, ...] | None:
    """Return the shape that a message describes; None is that of a dataset that holds nothing."""
    version, rank, _, null = unpack("4B", body)
    if version not in (1, 2) or rank > 32:
        raise MalformedError("it has a shape of an unknown kind")
    if version == 2 and null == 2:
        return None
    return unpack(f"{rank}Q", body, 8 if version == 1 else 4)
