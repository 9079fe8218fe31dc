"""Rows of one HDF5 dataset, or of an array that goes along with one."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from nnx.border import Host, plain_array, to_host
from nnx.datasets.rows import Rows
from nnx.errors import ShapeError, StorageError
from nnx.ops import Ops


def is_stored(value: Any) -> bool:
    """Tell whether something is an HDF5 dataset or rows of one: what is read piece by piece."""
    h5py = sys.modules.get("h5py")  # who has a dataset has loaded the library
    return isinstance(value, Rows) or (h5py is not None and isinstance(value, h5py.Dataset))


class Source:
    """Rows that are read when they are needed.

    Attributes:
        shape: of all rows together.
        dtype: as they are stored.
        stored: whether they stand in a file.
        chunk: how many rows are stored as one piece, 1 if any number can be read.
    """

    def __init__(self, data: Any, argument: str, ops: Ops) -> None:
        """Take a dataset, rows of one, or an array.

        Raises:
            BackendError, DataError, DtypeError, ShapeError: it is no array of numbers.
            StorageError: the dataset is closed.
        """
        self._argument, self.stored = argument, is_stored(data)
        self._start, self.chunk = 0, 1
        if not self.stored:
            self._data: Any = to_host(data, argument, ops)
            self.shape, self.dtype = self._data.shape, self._data.dtype
            return
        self._data = data
        if isinstance(data, Rows):
            self._data, self._start = data.dataset, data.start
        self._need_open()
        self.shape = data.shape
        if self.shape is None:
            raise ShapeError(f"{argument} must have a batch axis first, got {self._data}, which has no values.")
        self.dtype = self._data.dtype
        plain_array(np.empty(0, self.dtype), argument)  # which refuses what holds no numbers
        self._name, self._file = self._data.name, self._data.file.filename
        self.chunk = (self._data.chunks or (1,))[0]

    def _need_open(self) -> None:
        if not self._data:
            raise StorageError(
                f"{self._argument} is a dataset whose file has been closed; keep the file open until training, "
                "evaluation or prediction has ended."
            )

    def read(self, runs: Sequence[tuple[int, int]], out: Host) -> Host:
        """Read ranges of rows (start, stop), one after another, into the beginning of `out`; return what was read.

        Raises:
            StorageError: the dataset has been closed, or its file cannot be read.
        """
        at = 0
        for start, stop in runs:
            self._read_run(start, out[at : at + stop - start])
            at += stop - start
        return out[:at]

    def _read_run(self, start: int, out: Host) -> None:
        stop = start + len(out)
        if not self.stored:
            out[...] = self._data[start:stop]
            return
        self._need_open()
        try:
            self._data.read_direct(out, np.s_[self._start + start : self._start + stop])
        except (
            OSError,
            ValueError,
            RuntimeError,
        ) as error:  # what h5py raises, also where another thread closes it
            self._need_open()
            raise StorageError(
                f"{self._argument}, dataset {self._name!r} of {self._file!r}, cannot be read in rows {start} to "
                f"{stop - 1}: {error}"
            ) from error

    def room(self, rows: int) -> Host:
        """Return an array with room for so many rows as they are stored."""
        return np.empty((rows, *self.shape[1:]), self.dtype)
