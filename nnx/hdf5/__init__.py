"""Reading named arrays from an HDF5 file that may not be what it claims to be.

The HDF5 library writes the files of nnx, but never reads one: it crashes, or never comes back, on some files that
are damaged or made to do so. Read here is only what it writes in its oldest format, which h5py chooses by default:
plain numbers in datasets of the root group, whole or in chunks compressed by gzip, and attributes that are texts or
whole numbers. Whatever could lead out of the file (links, external storage, virtual datasets) or run something
(filters of other makers) is not known here, and so refused. Every read lies within the file, every walk ends.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import DTypeLike, NDArray

from nnx.errors import ChecksumError, FileFormatError, excerpt
from nnx.hdf5.attributes import attribute
from nnx.hdf5.groups import LINK_INFO, SYMBOL_TABLE, members
from nnx.hdf5.headers import Message, messages, only, root_address
from nnx.hdf5.source import MalformedError, Source
from nnx.hdf5.storage import VIRTUAL, contents, storage
from nnx.hdf5.types import element_type, extents

Layout: TypeAlias = Mapping[str, tuple[DTypeLike, tuple[int, ...]]]
"""The element type and shape that each dataset must have."""

CHECKSUM = "blake2b"
"""The attribute of a dataset that holds the checksum of its contents."""

_DATASPACE, _DATATYPE, _EXTERNAL, _STORAGE, _FILTERS = 0x1, 0x3, 0x7, 0x8, 0xB
_MOST_NAMED = 8


def checksum(array: NDArray[Any]) -> str:
    """Return the checksum of an array's contents, 16 bytes in hexadecimal digits."""
    return hashlib.blake2b(np.ascontiguousarray(array).tobytes(), digest_size=16).hexdigest()


class StrictFile:
    """An open HDF5 file of which only what is asked for is read, and only if it is what was expected.

    Types and shapes are compared before anything is read, so that memory is bounded by what is expected.

    Attributes:
        size: how many bytes the file has.
    """

    def __init__(self, path: Path, source: Source, remedy: str) -> None:
        """Look into a file; `remedy` ends every error message."""
        self._path, self._source, self._remedy, self.size = path, source, remedy, source.size
        with self._refusing("it is no HDF5 file, or damaged"):
            self._root = messages(source, root_address(source))
            self._members = members(source, self._root)

    def read(self, name: str, dtype: DTypeLike, shape: tuple[int, ...]) -> NDArray[Any]:
        """Read a dataset that has exactly this type and shape.

        Raises:
            FileFormatError: it is missing, of another type or shape, elsewhere or unreadable.
        """
        return self._read(name, self._own_dataset(name), dtype, shape)

    def read_checked(self, name: str, dtype: DTypeLike, shape: tuple[int, ...]) -> NDArray[Any]:
        """Read as `read`, from a dataset that has its checksum with it.

        Raises:
            FileFormatError: as `read`.
            ChecksumError: its contents are not what was written.
        """
        found = self._own_dataset(name)
        return self._intact(name, found, self._read(name, found, dtype, shape))

    def read_text(self, name: str, limit: int) -> str:
        """Read a one-dimensional uint8 dataset of at most `limit` bytes, with its checksum, as UTF-8.

        Raises:
            FileFormatError: it is missing, too long, not text, elsewhere or unreadable.
            ChecksumError: its contents are not what was written.
        """
        found = self._own_dataset(name)
        dtype, shape = self._kind(name, found)
        if dtype != np.uint8 or shape is None or len(shape) != 1 or shape[0] > limit:
            raise self.error(f"expected {name!r} to be at most {limit} bytes of text, got {dtype} of shape {shape}")
        try:
            return self._intact(name, found, self._read(name, found, np.uint8, shape)).tobytes().decode()
        except UnicodeDecodeError as error:
            raise self.error(f"expected {name!r} to be UTF-8 text, but: {error}") from error

    def attribute(self, name: str) -> str | int | None:
        """Return an attribute of the file, or None where there is none."""
        with self._refusing("it is damaged"):
            return attribute(self._source, self._root, name)

    def error(self, why: str, kind: type[FileFormatError] = FileFormatError) -> FileFormatError:
        """Return the error that says why this file is refused."""
        return kind(f"{self._path}: {excerpt(why.rstrip('.'))}. {self._remedy}")

    @contextmanager
    def _refusing(self, what: str) -> Iterator[None]:
        """Refuse the file if the block finds that it is malformed."""
        try:
            yield
        except MalformedError as error:
            raise self.error(f"{what}: {error}") from error

    def _intact(self, name: str, found: Sequence[Message], array: NDArray[Any]) -> NDArray[Any]:
        with self._refusing(f"the checksum of {name!r} is damaged"):
            expected = attribute(self._source, found, CHECKSUM)
        if expected != checksum(array):
            raise self.error(f"the contents of {name!r} do not have their checksum", ChecksumError)
        return array

    def _kind(self, name: str, found: Sequence[Message]) -> tuple[np.dtype[Any] | str, tuple[int, ...] | None]:
        """Return element type and shape of a dataset."""
        with self._refusing(f"dataset {name!r} is damaged"):
            return element_type(only(found, _DATATYPE) or b""), extents(only(found, _DATASPACE) or b"")

    def _read(self, name: str, found: Sequence[Message], dtype: DTypeLike, shape: tuple[int, ...]) -> NDArray[Any]:
        wanted, given = (np.dtype(dtype), shape), self._kind(name, found)
        if given != wanted:
            raise self.error(
                f"expected dataset {name!r} to be {wanted[0]} of shape {shape}, got {given[0]} of shape {given[1]}"
            )
        with self._refusing(f"dataset {name!r} is damaged"):
            return contents(self._source, only(found, _STORAGE) or b"", only(found, _FILTERS), *wanted)

    def _own_dataset(self, name: str) -> list[Message]:
        """Return the header of the dataset `name`, made sure to be stored in this very file."""
        if name not in self._members:
            known = sorted(self._members)
            more = f" and {len(known) - _MOST_NAMED} more" if len(known) > _MOST_NAMED else ""
            found = ", ".join(map(repr, known[:_MOST_NAMED])) or "nothing"
            raise self.error(f"expected a dataset {name!r}, found {found}{more}")
        address = self._members[name]
        if address is None:
            raise self.error(f"expected {name!r} to be stored in the file, got a link")
        with self._refusing(f"dataset {name!r} is damaged"):
            header = messages(self._source, address)
            if {message.kind for message in header} & {SYMBOL_TABLE, LINK_INFO}:
                raise self.error(f"expected {name!r} to be a dataset, got a group")
            if only(header, _EXTERNAL) is not None or storage(only(header, _STORAGE) or b"") == VIRTUAL:
                raise self.error(f"expected {name!r} to be stored in the file, got data kept in other files")
            return header


@contextmanager
def open_hdf5(path: Path, remedy: str = "Get the file again.") -> Iterator[StrictFile]:
    """Open an HDF5 file for strict reading.

    Raises:
        FileFormatError: it is not an HDF5 file, or cannot be read.
    """
    try:
        with path.open("rb") as stream:
            yield StrictFile(path, Source(stream, os.fstat(stream.fileno()).st_size), remedy)
    except OSError as error:
        raise FileFormatError(f"{path}: it cannot be read: {error.strerror or error}. {remedy}") from error


def read_hdf5(path: Path, layout: Layout) -> dict[str, NDArray[Any]]:
    """Read the datasets named in `layout`, which must have exactly the given types and shapes.

    Raises:
        FileFormatError: as `open_hdf5` and `StrictFile.read` do.
    """
    with open_hdf5(path) as file:
        return {name: file.read(name, *wanted) for name, wanted in layout.items()}
