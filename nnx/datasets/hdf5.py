"""Reading named arrays from an HDF5 file that may not be what it claims to be."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import DTypeLike, NDArray

from nnx.errors import FileFormatError

Layout: TypeAlias = Mapping[str, tuple[DTypeLike, tuple[int, ...]]]
"""The element type and shape that each dataset must have."""


def read_hdf5(path: Path, layout: Layout) -> dict[str, NDArray[Any]]:
    """Read the datasets named in `layout`, which must have exactly the given types and shapes.

    Types and shapes are compared before anything is read, so memory is bounded by `layout`. Only data
    in the file itself are read: links, external storage and virtual datasets, which can lead to other
    files, are refused.

    Raises: FileFormatError if the file is not HDF5 or a dataset is missing, of another type or shape,
        elsewhere or unreadable.
    """
    import h5py

    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise _foreign(path, f"expected an HDF5 file, but: {error}") from error
    with file:
        return {name: _read(path, file, name, *wanted) for name, wanted in layout.items()}


def _read(path: Path, file: Any, name: str, dtype: DTypeLike, shape: tuple[int, ...]) -> NDArray[Any]:
    dataset = _own_dataset(path, file, name)
    if (dataset.dtype, dataset.shape) != (np.dtype(dtype), shape):
        expected = f"{np.dtype(dtype)} of shape {shape}"
        raise _foreign(
            path, f"expected dataset {name!r} to be {expected}, got {dataset.dtype} of shape {dataset.shape}"
        )
    try:
        array: NDArray[Any] = dataset[...]
    except OSError as error:
        raise _foreign(path, f"dataset {name!r} is damaged: {error}") from error
    return array


def _own_dataset(path: Path, file: Any, name: str) -> Any:
    """Return the dataset `name`, made sure to be stored in this very file."""
    import h5py

    # Asked of the link itself: `name in file` would already open the file that an external link names.
    if name not in set(file):
        raise _foreign(path, f"expected a dataset {name!r}, found {', '.join(map(repr, file)) or 'nothing'}")
    if file.id.links.get_info(name.encode()).type != h5py.h5l.TYPE_HARD:
        raise _foreign(path, f"expected {name!r} to be stored in the file, got a link")
    dataset = file[name]
    if not isinstance(dataset, h5py.Dataset):
        raise _foreign(path, f"expected {name!r} to be a dataset, got a {type(dataset).__name__.lower()}")
    if dataset.external or dataset.is_virtual:
        raise _foreign(path, f"expected {name!r} to be stored in the file, got data kept in other files")
    return dataset


def _foreign(path: Path, why: str) -> FileFormatError:
    return FileFormatError(f"{path}: {why}. Get the file again.")
