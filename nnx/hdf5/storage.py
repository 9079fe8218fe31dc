"""The contents of datasets in an HDF5 file: in one piece, or in chunks that may be compressed by gzip.

Source: The HDF Group, HDF5 File Format Specification, version 3.0, sections III.A.1, IV.A.2.i and IV.A.2.l.
"""

from __future__ import annotations

import math
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnx.hdf5.groups import leaves
from nnx.hdf5.source import UNDEFINED, MalformedError, Source, padded, part, unpack

COMPACT, CONTIGUOUS, CHUNKED, VIRTUAL = 0, 1, 2, 3
GZIP, SHUFFLE = 1, 2
"""Filters."""


def storage(layout: bytes) -> int:
    """Return how a dataset is stored, by its message."""
    version, found = unpack("BB", layout)
    if version == 3 or (version == 4 and found == VIRTUAL):
        return found
    raise MalformedError(f"it is stored in a way that is not read: layout version {version}")


def contents(
    source: Source, layout: bytes, filters: bytes | None, dtype: np.dtype[Any], shape: tuple[int, ...]
) -> NDArray[Any]:
    """Return the elements of a dataset of this type and shape, given the messages that say where they are.

    No more memory is taken than the elements need, and no more for a chunk than for all of them.
    """
    if storage(layout) == CHUNKED:
        return _from_chunks(source, layout, [] if filters is None else _filters(filters), dtype, shape)
    if filters is not None:
        raise MalformedError("only chunks can be compressed")
    return _in_one_piece(source, layout, np.empty(shape, dtype))


def _in_one_piece(source: Source, layout: bytes, found: NDArray[Any]) -> NDArray[Any]:
    kind = storage(layout)
    if kind not in (COMPACT, CONTIGUOUS):
        raise MalformedError("it is stored in a way that is not read")
    address, size = unpack("QQ", layout, 2) if kind == CONTIGUOUS else (0, *unpack("H", layout, 2))
    if found.size == 0:
        return found
    _check_written(address)
    if size != found.nbytes:
        raise MalformedError(f"it should have {found.nbytes} bytes, but {size} are stored")
    if kind == CONTIGUOUS:
        source.fill(address, found)
    else:
        found[...] = np.frombuffer(part(layout, 4, size), found.dtype).reshape(found.shape)
    return found


def _check_written(address: int) -> None:
    if address == UNDEFINED:
        raise MalformedError("nothing was ever written to it")


def _filters(body: bytes) -> list[int]:
    """Return the filters of a dataset, in the order in which they were applied."""
    version, count = unpack("BB", body)
    if version not in (1, 2):
        raise MalformedError("its filters are of an unknown version")
    place, found = 8 if version == 1 else 2, []
    for _ in range(count):
        (number,) = unpack("H", body, place)
        if number not in (GZIP, SHUFFLE):
            raise MalformedError(f"filter {number} is not read, only gzip and shuffle")
        named = version == 1
        name, values = unpack("H2xH", body, place + 2) if named else (0, *unpack("2xH", body, place + 2))
        place += 8 if named else 6
        place += padded(name) + 4 * (values + (values % 2 if named else 0))
        found.append(number)
    return found


def _from_chunks(
    source: Source, layout: bytes, filters: list[int], dtype: np.dtype[Any], shape: tuple[int, ...]
) -> NDArray[Any]:
    rank, tree = unpack("BQ", layout, 2)
    _check_written(tree)
    *chunk, itemsize = unpack(f"{rank}I", layout, 11)
    if rank != len(shape) + 1 or itemsize != dtype.itemsize:
        raise MalformedError("its chunks are of another rank or type")
    if not shape or any(not 0 < short <= long for short, long in zip(chunk, shape, strict=True)):
        raise MalformedError(f"its chunks of shape {tuple(chunk)} do not fit into it")
    found, filled = np.empty(shape, dtype), set[tuple[int, ...]]()
    for key, address in leaves(source, tree, kind=1, key_size=8 + 8 * rank):
        size, mask, *corner = unpack(f"II{rank}Q", key)
        place = tuple(corner[:-1])
        if mask or place in filled or not _on_grid(place, chunk, shape):
            raise MalformedError("a chunk of it is out of place")
        filled.add(place)
        values = _decoded(source.take(address, size), filters, dtype, math.prod(chunk)).reshape(chunk)
        target = found[tuple(slice(at, at + step) for at, step in zip(place, chunk, strict=True))]
        target[...] = values[tuple(slice(extent) for extent in target.shape)]
    expected = math.prod(-(-long // short) for short, long in zip(chunk, shape, strict=True))
    if len(filled) != expected:
        raise MalformedError(f"it should have {expected} chunks, but has {len(filled)}")
    return found


def _on_grid(place: tuple[int, ...], chunk: list[int], shape: tuple[int, ...]) -> bool:
    return all(at % step == 0 and at < end for at, step, end in zip(place, chunk, shape, strict=True))


def _decoded(data: bytes, filters: list[int], dtype: np.dtype[Any], count: int) -> NDArray[Any]:
    """Return the elements of a chunk; never more is unpacked than they take."""
    wanted = count * dtype.itemsize
    for number in reversed(filters):
        data = _inflated(data, wanted) if number == GZIP else _unshuffled(data, dtype.itemsize, wanted)
    if len(data) != wanted:
        raise MalformedError(f"a chunk of it should have {wanted} bytes, but has {len(data)}")
    return np.frombuffer(data, dtype)


def _inflated(data: bytes, wanted: int) -> bytes:
    stream = zlib.decompressobj()
    try:
        found = stream.decompress(data, wanted + 1)
    except zlib.error as error:
        raise MalformedError(f"a chunk of it cannot be decompressed: {error}") from error
    if not stream.eof or len(found) > wanted:
        raise MalformedError(f"a chunk of it does not decompress to {wanted} bytes")
    return found


def _unshuffled(data: bytes, itemsize: int, wanted: int) -> bytes:
    if len(data) != wanted:
        raise MalformedError(f"a chunk of it should have {wanted} bytes, but has {len(data)}")
    return np.frombuffer(data, np.uint8).reshape(itemsize, -1).T.tobytes()
