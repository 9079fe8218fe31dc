"""Which rows of a file stand in which buffer, and in what order: chunk order plus buffer."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from nnx import random

BUFFER_BYTES = 32 * 2**20
"""What the inputs and targets of one buffer take, as the model holds them."""

CHUNKS = 32
"""Chunks per buffer, from anywhere in the file: the more, the better the shuffle, and the shorter each read."""

Rows = NDArray[np.int64]
Run = tuple[int, int]
"""Rows start to stop - 1 of a file."""


@dataclass(frozen=True)
class Shuffle:
    """What decides the order of an epoch besides the sizes."""

    seed: int
    epoch: int


def buffer_rows(row_bytes: int, batch: int) -> int:
    """Return how many rows a buffer holds: whole batches, at least one."""
    return batch * max(1, BUFFER_BYTES // (batch * max(row_bytes, 1)))


def chunk_rows(buffer: int, unit: int) -> int:
    """Return how many rows a chunk holds, of a file in which `unit` rows are stored as one piece."""
    return -(-max(buffer // CHUNKS, 1) // unit) * unit


@dataclass(frozen=True)
class Plan:
    """The order of `count` rows, in buffers of `buffer` rows, of chunks of `chunk` rows; see `nnx.stored`.

    A buffer holds whole batches of `batch` rows. A shuffle of None stands for the order of the file.
    """

    count: int
    chunk: int
    buffer: int
    batch: int
    _kept: list[tuple[Shuffle, Rows]] = field(default_factory=list, compare=False, repr=False)

    @property
    def buffers(self) -> int:
        """How many buffers an epoch has; the last one may hold fewer rows."""
        return -(-self.count // self.buffer)

    def rows_in(self, number: int) -> int:
        """Return how many rows the buffer of that number holds."""
        return min(self.buffer, self.count - number * self.buffer)

    def runs(self, shuffle: Shuffle | None, number: int) -> list[Run]:
        """Return the rows of a buffer before they are shuffled, as ranges (start, stop) in the file."""
        first = number * self.buffer
        last = first + self.rows_in(number)
        if shuffle is None:
            return [(first, last)]
        chunks = self._chunks(shuffle)
        starts = chunks * self.chunk
        ends = np.cumsum(np.minimum(self.chunk, self.count - starts))  # in the sequence of all chunks
        runs = []
        for index in range(int(np.searchsorted(ends, first, "right")), len(chunks)):
            start, length = int(starts[index]), int(min(self.chunk, self.count - starts[index]))
            begin = int(ends[index]) - length
            if begin >= last:
                break
            runs.append((start + max(first - begin, 0), start + min(last - begin, length)))
        return runs

    def _chunks(self, shuffle: Shuffle) -> Rows:
        for kept, chunks in self._kept:
            if kept == shuffle:
                return chunks
        stream = random.stream_of("shuffle.chunks")
        drawn = random.permutation(-(-self.count // self.chunk), shuffle.seed, stream, shuffle.epoch)
        self._kept[:] = [(shuffle, drawn)]  # in one step: the thread that reads ahead may be in here too
        return drawn

    def order(self, shuffle: Shuffle | None, number: int) -> Rows:
        """Return in what order the rows of a buffer come, counted from its beginning."""
        rows = self.rows_in(number)
        if shuffle is None:
            return np.arange(rows)
        stream = random.stream_of("shuffle")
        drawn = random.permutation(rows, shuffle.seed, stream, shuffle.epoch + (number << 64))
        return dealt(drawn, min(self.batch, rows))

    def rows(self, shuffle: Shuffle | None, number: int) -> Rows:
        """Return the rows of the file that a buffer holds, in the order in which they come."""
        return self._held(shuffle, number)[self.order(shuffle, number)]

    def _held(self, shuffle: Shuffle | None, number: int) -> Rows:
        return np.concatenate([np.arange(start, stop) for start, stop in self.runs(shuffle, number)])

    def runs_of(self, shuffle: Shuffle | None, number: int, places: Rows) -> list[Run]:
        """Return some rows of a buffer, by their rising places in it, as ranges (start, stop) in the file."""
        rows = self._held(shuffle, number)[places]
        cuts = np.flatnonzero(np.diff(rows) != 1) + 1
        bounds = [0, *cuts.tolist(), len(rows)]
        return [(int(rows[begin]), int(rows[end - 1]) + 1) for begin, end in pairwise(bounds) if begin < end]


def dealt(drawn: Rows, lanes: int) -> Rows:
    """Return a permutation of 0 to n - 1 in which place p of every batch of `lanes` comes from lane p.

    Lanes are ranges as even as can be, the longer ones first; the rows of each come in the order of `drawn`.
    """
    count = len(drawn)
    length, longer = divmod(count, lanes)
    lengths = np.full(lanes, length)
    lengths[:longer] += 1
    lane = np.repeat(np.arange(lanes), lengths)
    grouped = drawn[np.argsort(lane[drawn].astype(np.min_scalar_type(lanes)), kind="stable")]
    within = np.arange(count) - (np.cumsum(lengths) - lengths)[lane]  # how far each stands in its lane
    order = np.empty_like(drawn)
    order[within * lanes + lane] = grouped
    return order
