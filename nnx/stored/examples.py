"""Inputs and targets in a file, and how rows of them become checked examples."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from nnx.border import Host, counted_from
from nnx.errors import NnxError
from nnx.inputs import Examples
from nnx.stored.plan import Plan, Run, buffer_rows, chunk_rows
from nnx.stored.reading import read_ahead
from nnx.stored.source import Source

Check: TypeAlias = Callable[[Host, Host, Host | None, Host | None], Examples]

SAMPLED = 256
"""Rows that tell one file from another: reading all of it would take as long as an epoch."""


def digest_of(*sources: Source) -> str:
    """Return a checksum of the sizes and types of sources and of 256 of their rows, spread evenly."""
    found = hashlib.blake2b(digest_size=16)
    for source in sources:
        found.update(f"{source.dtype.str}{source.shape}".encode())
        for row in np.unique(np.linspace(0, source.shape[0] - 1, SAMPLED).astype(int)).tolist():
            found.update(np.ascontiguousarray(source.read([(row, row + 1)], source.room(1))).data)
    return found.hexdigest()


@dataclass(frozen=True)
class StoredExamples:
    """Examples to train on or to measure, of which x or y, or both, stand in a file.

    Attributes:
        x, y: where rows are read.
        check_inputs: makes checked inputs of some rows.
        check: makes `Examples` of checked inputs, targets, weights and lengths of some rows.
        weight: (M, *steps) floating, or None for all ones; in memory.
        lengths: (M,) int64, how many steps of each sequence are real, or None for all; in memory.
        stretch: (all steps) / (real steps) of all examples, see `Examples.step_weight`; None without lengths.
    """

    x: Source
    y: Source
    check_inputs: Callable[[Host], Host]
    check: Check
    weight: Host | None
    lengths: Host | None
    stretch: float | None

    @property
    def count(self) -> int:
        """The number of examples."""
        return int(self.x.shape[0])

    def first(self) -> Examples:
        """Return the first example, which tells the shapes and dtypes of all."""
        run = [(0, 1)]
        x, y = self.x.read(run, self.x.room(1)), self.y.read(run, self.y.room(1))
        return self.check(self.check_inputs(x), y, *self._beside(run))

    def all(self) -> Examples:
        """Return all of them, read into memory."""
        first = self.first().x
        x = np.empty((self.count, *first.shape[1:]), first.dtype)
        return self.read([(0, self.count)], x, self.y.room(self.count))

    def read(self, runs: Sequence[Run], x: Host, y: Host) -> Examples:
        """Return the rows of these ranges, at least one, checked.

        Args:
            runs: ranges (start, stop).
            x: (at least so many, ...) in the dtype of checked inputs, which are written to its beginning.
            y: in the dtype of targets as they are stored, which are written to its beginning.

        Raises:
            DataError, DtypeError, ShapeError: they are not what the model takes; rows are counted in the file.
            StorageError: the file cannot be read.
        """
        x, y = self._inputs(runs, x), self.y.read(runs, y)
        try:
            return self.check(x, y, *self._beside(runs))
        except NnxError:
            for first, part in _parts(runs):  # one range at a time, to name the row as it is numbered in the file
                with counted_from(first[0]):
                    self.check(x[part], y[part], *self._beside([first]))
            raise

    def _inputs(self, runs: Sequence[Run], x: Host) -> Host:
        """Read inputs and check them."""
        count = sum(stop - start for start, stop in runs)
        if x.dtype.kind == "f" and self.x.fill(runs, x):  # numbers need be finite, no more
            return x[:count]
        for run, part in _parts(runs):
            with counted_from(run[0]):
                x[part] = self.check_inputs(self.x.read([run], self.x.room(run[1] - run[0])))
        return x[:count]

    def _beside(self, runs: Sequence[Run]) -> tuple[Host | None, Host | None]:
        weight, lengths = (
            None if held is None else np.concatenate([held[start:stop] for start, stop in runs])
            for held in (self.weight, self.lengths)
        )
        return weight, lengths

    def real_outputs(self) -> Host | int:
        """Return how many steps of an output count, as `Examples.real_outputs` does: (M,) where they differ."""
        first = self.first()
        if not first.padded or self.lengths is None:
            return math.prod(first.steps)
        return self.lengths * math.prod(first.steps[1:])

    def plan(self, batch: int, itemsize: int) -> Plan:
        """Return the order of these examples in batches of that size, for numbers of so many bytes."""
        values = sum(int(np.prod(source.shape[1:], dtype=np.int64)) for source in (self.x, self.y))
        rows = buffer_rows(values * itemsize, batch)
        return Plan(self.count, chunk_rows(rows, max(self.x.chunk, self.y.chunk)), rows, batch)

    def digest(self) -> str:
        """Return a checksum that tells these from other examples; see `digest_of`."""
        found = hashlib.blake2b(
            f"{digest_of(self.x, self.y)} {self.x.chunk} {self.y.chunk}".encode(), digest_size=16
        )
        for part in (self.weight, self.lengths):
            found.update(b"none" if part is None else np.ascontiguousarray(part).data)
        return found.hexdigest()


def _parts(runs: Sequence[Run]) -> Iterator[tuple[Run, slice]]:
    """Yield each range with the place of its rows among those of all ranges."""
    at = 0
    for start, stop in runs:
        yield (start, stop), slice(at, at + stop - start)
        at += stop - start


AnyExamples: TypeAlias = Examples | StoredExamples
"""Checked examples, in memory or in their file."""


def held(examples: AnyExamples, batch: int, ranks: int = 1) -> Examples:
    """Return examples of as many rows as each of so many processes holds at a time: shapes, no values.

    `batch` is the size of the batches in which all of them train or measure.
    """
    if isinstance(examples, Examples):
        return examples
    first, size = examples.first(), min(batch, examples.count)
    plan = examples.plan(size, first.x.dtype.itemsize)
    rows = examples.count if plan.buffers == 1 else 2 * (plan.buffer // size) * -(-size // ranks)

    def spread(part: Host) -> Host:
        return np.broadcast_to(part, (rows, *part.shape[1:]))

    weight, lengths, real, marks = (
        None if part is None else spread(part) for part in (first.weight, first.lengths, first.real, first.marks)
    )
    x, targets = spread(first.x), spread(first.targets)
    return Examples(x, targets, weight, lengths, real, marks, first.steps, first.stretch)


@dataclass(frozen=True)
class StoredInputs:
    """Inputs in a file, to predict from.

    Attributes:
        x: where rows are read.
        check: makes checked inputs of some rows.
        lengths: (M,) int64, or None; in memory.
    """

    x: Source
    check: Callable[[Host], Host]
    lengths: Host | None

    def pieces(self, size: int, itemsize: int) -> Generator[tuple[Host, Host | None], None, None]:
        """Yield inputs and lengths of `size` rows each, in the order of the file, buffers read ahead."""
        count = int(self.x.shape[0])
        width = buffer_rows(int(np.prod(self.x.shape[1:], dtype=np.int64)) * itemsize, size)
        runs = [(start, min(start + width, count)) for start in range(0, max(count, 1), width)]
        works = [lambda run=run: (run[0], self._read(run)) for run in runs]
        for first, rows in read_ahead(works):
            for at in range(0, max(len(rows), 1), size):
                lengths = None if self.lengths is None else self.lengths[first + at : first + at + size]
                yield rows[at : at + size], lengths

    def _read(self, run: Run) -> Host:
        rows = self.x.read([run], self.x.room(run[1] - run[0]))
        with counted_from(run[0]):
            return self.check(rows)
