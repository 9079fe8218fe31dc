"""Reading named arrays from an HDF5 file that may not be what it claims to be."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import DTypeLike, NDArray

from nnx.errors import FileFormatError

Layout: TypeAlias = Mapping[str, tuple[DTypeLike, tuple[int, ...]]]
"""The element type and shape that each dataset must have."""


CHECKSUM = "blake2b"
"""The attribute of a dataset that holds the checksum of its contents."""


def checksum(array: NDArray[Any]) -> str:
    """Return the checksum of an array's contents, 16 bytes in hexadecimal digits."""
    return hashlib.blake2b(np.ascontiguousarray(array).tobytes(), digest_size=16).hexdigest()


class StrictFile:
    """An open HDF5 file of which only what is asked for is read, and only if it is what was expected.

    Types and shapes are compared before anything is read, so that memory is bounded by what is expected. Only
    data in the file itself are read: links, external storage and virtual datasets, which can lead to other
    files, are refused.
    """

    def __init__(self, path: Path, file: Any, remedy: str) -> None:
        """Wrap an open h5py.File; `remedy` ends every error message."""
        self._path, self._file, self._remedy = path, file, remedy

    def read(self, name: str, dtype: DTypeLike, shape: tuple[int, ...]) -> NDArray[Any]:
        """Read a dataset that has exactly this type and shape.

        Raises:
            FileFormatError: it is missing, of another type or shape, elsewhere or unreadable.
        """
        dataset = self._own_dataset(name)
        if (dataset.dtype, dataset.shape) != (np.dtype(dtype), shape):
            raise self.error(
                f"expected dataset {name!r} to be {np.dtype(dtype)} of shape {shape}, "
                f"got {dataset.dtype} of shape {dataset.shape}"
            )
        return self._contents(name, dataset)

    def read_checked(self, name: str, dtype: DTypeLike, shape: tuple[int, ...]) -> NDArray[Any]:
        """Read as `read`, from a dataset that is not compressed and has its checksum with it.

        Raises:
            FileFormatError: as `read`, or its contents are not what was written.
        """
        return self._intact(name, self.read(name, dtype, shape))

    def _intact(self, name: str, array: NDArray[Any]) -> NDArray[Any]:
        try:
            expected = self._file[name].attrs.get(CHECKSUM)
        except (OSError, TypeError, ValueError, RuntimeError) as error:
            raise self.error(f"the checksum of {name!r} is damaged: {error}") from error
        if expected != checksum(array):
            raise self.error(f"the contents of {name!r} do not have their checksum")
        return array

    def read_text(self, name: str, limit: int) -> str:
        """Read a one-dimensional uint8 dataset of at most `limit` bytes, with its checksum, as UTF-8.

        Raises:
            FileFormatError: it is missing, too long, not text, elsewhere or unreadable.
        """
        dataset = self._own_dataset(name)
        if dataset.dtype != np.uint8 or dataset.ndim != 1 or dataset.size > limit:
            raise self.error(f"expected {name!r} to be at most {limit} bytes of text, got {dataset!r}")
        try:
            return self._intact(name, self._contents(name, dataset)).tobytes().decode()
        except UnicodeDecodeError as error:
            raise self.error(f"expected {name!r} to be UTF-8 text, but: {error}") from error

    def attribute(self, name: str) -> object:
        """Return an attribute of the file, or None where there is none."""
        try:
            return self._file.attrs.get(name)
        except (OSError, TypeError, ValueError, RuntimeError) as error:
            raise self.error(f"attribute {name!r} is damaged: {error}") from error

    def error(self, why: str) -> FileFormatError:
        """Return the error that says why this file is refused."""
        return FileFormatError(f"{self._path}: {why.rstrip('.')}. {self._remedy}")

    def _contents(self, name: str, dataset: Any) -> NDArray[Any]:
        try:
            array: NDArray[Any] = dataset[...]
        except OSError as error:
            raise self.error(f"dataset {name!r} is damaged: {error}") from error
        return array

    def _own_dataset(self, name: str) -> Any:
        """Return the dataset `name`, made sure to be stored in this very file."""
        import h5py

        # Asked of the link itself: `name in file` would already open the file that an external link names.
        names = set(self._file)
        if name not in names:
            found = ", ".join(map(repr, sorted(names))) or "nothing"
            raise self.error(f"expected a dataset {name!r}, found {found}")
        if self._file.id.links.get_info(name.encode()).type != h5py.h5l.TYPE_HARD:
            raise self.error(f"expected {name!r} to be stored in the file, got a link")
        dataset = self._file[name]
        if not isinstance(dataset, h5py.Dataset):
            raise self.error(f"expected {name!r} to be a dataset, got a {type(dataset).__name__.lower()}")
        if dataset.external or dataset.is_virtual:
            raise self.error(f"expected {name!r} to be stored in the file, got data kept in other files")
        return dataset


@contextmanager
def open_hdf5(path: Path, remedy: str = "Get the file again.") -> Iterator[StrictFile]:
    """Open an HDF5 file for strict reading.

    Raises:
        FileFormatError: it is not an HDF5 file, or cannot be read.
    """
    import h5py

    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise FileFormatError(f"{path}: expected an HDF5 file, but: {error}. {remedy}") from error
    with file:
        yield StrictFile(path, file, remedy)


def read_hdf5(path: Path, layout: Layout) -> dict[str, NDArray[Any]]:
    """Read the datasets named in `layout`, which must have exactly the given types and shapes.

    Raises:
        FileFormatError: as `open_hdf5` and `StrictFile.read` do.
    """
    with open_hdf5(path) as file:
        return {name: file.read(name, *wanted) for name, wanted in layout.items()}
