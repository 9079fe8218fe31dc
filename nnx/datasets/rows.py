"""Rows of an HDF5 dataset that stay in their file: what one process of several reads, or what is held out."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnx.checks import check_count
from nnx.errors import OptionError


class Rows:
    """Rows start to stop - 1 of an open HDF5 dataset, wherever `fit`, `evaluate` and `predict` take a dataset.

    Nothing is read until it is needed. Rows are counted from `start` in what nnx says about them.

    Args:
        dataset: an `h5py.Dataset`, open for as long as it is used.
        start, stop: as in a slice, within the dataset; stop is its end by default.

    Raises:
        OptionError: it is no dataset with rows, or it has no such rows.

    Examples:
        >>> import h5py
        >>> file = h5py.File("held_out.h5", "w", driver="core", backing_store=False)
        >>> x = file.create_dataset("x", (1000, 20), "float32")
        >>> nnx.datasets.Rows(x, 900).shape
        (100, 20)
    """

    def __init__(self, dataset: Any, start: int = 0, stop: int | None = None) -> None:
        """Take the rows."""
        shape = getattr(dataset, "shape", None)
        if not shape or not hasattr(dataset, "read_direct"):
            raise OptionError(f"dataset must be an open h5py.Dataset that has rows, got {dataset!r}.")
        count = int(shape[0])
        first, last = check_count("start", start, 0), count if stop is None else check_count("stop", stop, 0)
        if not first <= last <= count:
            raise OptionError(
                f"rows must satisfy 0 <= start <= stop <= {count}, got start={start} and stop={stop}."
            )
        self.dataset, self.start, self.stop = dataset, first, last

    @property
    def shape(self) -> tuple[int, ...]:
        """(stop - start, ...)."""
        return (self.stop - self.start, *self.dataset.shape[1:])

    @property
    def dtype(self) -> np.dtype[Any]:
        """As it is stored."""
        held: np.dtype[Any] = self.dataset.dtype
        return held

    def __len__(self) -> int:
        return self.stop - self.start

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        if copy is False:
            raise ValueError("Rows stand in a file; an array of them is always a copy.")
        return np.asarray(self.dataset[self.start : self.stop], dtype)

    def __repr__(self) -> str:
        return f"<Rows {self.start} to {self.stop} of {self.dataset!r}>"


def part(dataset: Any, rank: int, size: int) -> Rows:
    """Return the rows of a dataset that process number `rank` of `size` reads: those before and after are others'.

    Together the parts are all rows, each in one part; their lengths differ by one at most:
    rows rank M // size to (rank + 1) M // size - 1 of M.

    Raises:
        OptionError: there is no such process, or no such dataset.

    Examples:
        >>> import h5py
        >>> file = h5py.File("shared.h5", "w", driver="core", backing_store=False)
        >>> x = file.create_dataset("x", (10, 20), "float32")
        >>> [len(nnx.datasets.part(x, rank, 3)) for rank in range(3)]
        [3, 3, 4]
    """
    whole, number, processes = Rows(dataset), check_count("rank", rank, 0), check_count("size", size)
    if number >= processes:
        raise OptionError(f"rank must be 0 to size - 1, got rank={rank} and size={size}.")
    count = len(whole)
    return Rows(dataset, number * count // processes, (number + 1) * count // processes)
