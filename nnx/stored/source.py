"""Rows of one HDF5 dataset, or of an array that goes along with one."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np

from nnx.border import Host, plain_array, to_host
from nnx.datasets.rows import Rows
from nnx.errors import ShapeError, StorageError
from nnx.ops import Ops
from nnx.stored.extent import Extent
from nnx.stored.plan import Run

BLOCK_BYTES = 2**19
"""What is read at a time to be converted and checked, while it is in the processor's cache."""

_UNREAD = (OSError, ValueError, RuntimeError, TypeError)
"""What h5py and the system raise, also where another thread closes the file or resizes the dataset."""

Reader = Callable[[int, Host], None]
"""Reads the rows that begin at the first argument into the second."""


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
        self._extent: Extent | None = None
        self._data: Any = data if self.stored else to_host(data, argument, ops)
        if isinstance(data, Rows):
            self._data, self._start = data.dataset, data.start
        if self.stored:
            self._look_up()
        self.shape: tuple[int, ...] = data.shape if self.stored else self._data.shape
        self.dtype: np.dtype[Any] = self._data.dtype

    def _look_up(self) -> None:
        """Note how the dataset is stored, for as long as it can be asked; refuse what holds no array of numbers."""
        self._need_open()
        if self._data.shape is None:
            raise ShapeError(
                f"{self._argument} must have a batch axis first, got {self._data}, which has no values."
            )
        plain_array(np.empty(0, self._data.dtype), self._argument)
        self._name, self._file = self._data.name, self._data.file.filename
        self.chunk = (self._data.chunks or (1,))[0]
        self._extent = Extent.of(self._data)

    def _need_open(self) -> None:
        if not self._data:
            raise StorageError(
                f"{self._argument} is a dataset whose file has been closed; keep the file open until training, "
                "evaluation or prediction has ended."
            )

    def read(self, runs: Sequence[Run], out: Host) -> Host:
        """Read ranges of rows (start, stop), one after another, into the beginning of `out`; return what was read.

        Raises:
            StorageError: the dataset has been closed, or its file cannot be read.
        """
        at = 0
        with self._reader(runs) as read:
            for start, stop in runs:
                read(start, out[at : at + stop - start])
                at += stop - start
        return out[:at]

    def fill(self, runs: Sequence[Run], out: Host) -> bool:
        """Read as `read` does into `out`, of floating numbers; tell whether all are finite, and stop where not.

        Rows are converted and looked at a block at a time, so that they pass through memory once.

        Raises:
            StorageError: the dataset has been closed, or its file cannot be read.
        """
        width = self._block_rows(out)
        room = None if out.dtype == self.dtype else self.room(min(width, len(out)))
        at = 0
        with self._reader(runs) as read, np.errstate(over="ignore"):
            for start, stop in _cut(runs, width):
                part = out[at : at + stop - start]
                if room is None:
                    read(start, part)
                else:
                    read(start, room[: len(part)])
                    part[...] = room[: len(part)]
                if self.dtype.kind == "f" and not np.isfinite(part).all():
                    return False
                at += stop - start
        return True

    def _block_rows(self, out: Host) -> int:
        """Return how many rows a block holds, whole pieces as they are stored."""
        row = max(self.dtype.itemsize, out.dtype.itemsize) * max(int(np.prod(self.shape[1:], dtype=np.int64)), 1)
        return -(-max(BLOCK_BYTES // row, 1) // self.chunk) * self.chunk

    @contextmanager
    def _reader(self, runs: Sequence[Run]) -> Iterator[Reader]:
        """Hand to the block what reads.

        Raises:
            StorageError: the dataset has been closed, or its file cannot be read.
        """
        if not self.stored:
            yield self._copy
            return
        self._need_open()
        if self._extent is None:
            yield partial(self._telling, self._read_by_library)
            return
        try:
            handle = self._extent.open()
        except _UNREAD as error:
            raise self._unread(*runs[0], error) from error
        try:
            yield partial(self._telling, partial(self._read_by_system, self._extent, handle))
        finally:
            os.close(handle)

    def _copy(self, start: int, out: Host) -> None:
        out[...] = self._data[start : start + len(out)]

    def _read_by_library(self, start: int, out: Host) -> None:
        first, stop = self._start + start, self._start + start + len(out)
        self._need_rows(stop)
        self._data.read_direct(out, np.s_[first:stop])
        self._need_rows(stop)  # if only one row was left by then, it now stands in all of `out`

    def _need_rows(self, stop: int) -> None:
        shape = self._data.shape
        if stop > shape[0] or shape[1:] != self.shape[1:]:
            raise OSError(
                f"the dataset has been resized to {shape} meanwhile; leave its shape as it is until training, "
                "evaluation or prediction has ended"
            )

    def _read_by_system(self, extent: Extent, handle: int, start: int, out: Host) -> None:
        extent.read(handle, self._start + start, out)

    def _telling(self, read: Reader, start: int, out: Host) -> None:
        """Read; raise StorageError, which names the rows, in place of what the library or the system says."""
        try:
            read(start, out)
        except _UNREAD as error:
            raise self._unread(start, start + len(out), error) from error

    def _unread(self, start: int, stop: int, error: Exception) -> StorageError:
        self._need_open()
        return StorageError(
            f"{self._argument}, dataset {self._name!r} of {self._file!r}, cannot be read in rows {start} to "
            f"{stop - 1}: {str(error).rstrip('.')}."
        )

    def room(self, rows: int) -> Host:
        """Return an array with room for so many rows as they are stored."""
        return np.empty((rows, *self.shape[1:]), self.dtype)


def _cut(runs: Sequence[Run], width: int) -> Iterator[Run]:
    """Yield the same rows in ranges of `width` of them at most."""
    for start, stop in runs:
        for begin in range(start, stop, width):
            yield begin, min(begin + width, stop)
