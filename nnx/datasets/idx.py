"""Reading gzip-compressed IDX files, the format of MNIST."""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nnx.errors import FileFormatError

_UNSIGNED_BYTE = 8


def read_idx(path: Path, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Read the unsigned bytes of an IDX file that must have exactly the given shape.

    Layout, big-endian: two zero bytes, element type (8 = unsigned byte), number of axes, one 32-bit
    length per axis, then the elements in C order.

    Raises: FileFormatError if the file is not gzip, not IDX, of another type or shape, or too short or long.

    Source: Y. LeCun, "The IDX file format", http://yann.lecun.com/exdb/mnist/
    """
    header = bytes([0, 0, _UNSIGNED_BYTE, len(shape)]) + np.asarray(shape, ">u4").tobytes()
    count = math.prod(shape)
    try:
        with gzip.open(path, "rb") as stream:
            given = stream.read(len(header))
            _check_header(path, header, given)
            # One byte more than there should be: enough to notice trailing bytes, too little for a
            # small file that expands to gigabytes.
            body = stream.read(count + 1)
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise _foreign(path, f"expected a whole gzip file, but: {error}") from error
    if len(body) != count:
        got = "more" if len(body) > count else f"only {len(body):,}"
        raise _foreign(path, f"expected {count:,} bytes of elements, got {got}")
    return np.frombuffer(body, np.uint8).reshape(shape)


def _check_header(path: Path, expected: bytes, given: bytes) -> None:
    if given[:4] != expected[:4]:
        want, got = expected[:4].hex(" "), given[:4].hex(" ") or "nothing"
        raise _foreign(path, f"expected IDX bytes with {expected[3]} axes, which begin {want}, got {got}")
    if given != expected:
        raise _foreign(path, f"expected shape {_lengths(expected)}, got {_lengths(given)}")


def _lengths(header: bytes) -> tuple[int, ...]:
    """Return the lengths of the axes that a header, perhaps cut short, still tells."""
    whole = len(header) // 4 * 4
    return tuple(np.frombuffer(header[4:whole], ">u4").tolist())


def _foreign(path: Path, why: str) -> FileFormatError:
    return FileFormatError(f"{path}: {why}. Get the file again.")
