"""Inputs and targets in a file, and how rows of them become checked examples."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from nnx.border import Host, counted_from
from nnx.errors import NnxError, OptionError
from nnx.inputs import Examples
from nnx.stored.plan import Plan, buffer_rows, chunk_rows
from nnx.stored.reading import read_ahead
from nnx.stored.source import Source

Run: TypeAlias = tuple[int, int]
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
        check: makes `Examples` of inputs, targets, weights and lengths of some rows.
        weight: (M, *steps) floating, or None for all ones; in memory.
        lengths: (M,) int64, how many steps of each sequence are real, or None for all; in memory.
        stretch: (all steps) / (real steps) of all examples, see `Examples.step_weight`; None without lengths.
    """

    x: Source
    y: Source
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
        return self.read([(0, 1)], self.x.room(1), self.y.room(1))

    def all(self) -> Examples:
        """Return all of them, read into memory."""
        return self.read([(0, self.count)], self.x.room(self.count), self.y.room(self.count))

    def read(self, runs: Sequence[Run], x: Host, y: Host) -> Examples:
        """Return the rows of these ranges, read into the beginnings of x and y and checked.

        Raises:
            DataError, DtypeError, ShapeError: they are not what the model takes; rows are counted in the file.
            StorageError: the file cannot be read.
        """
        x, y = self.x.read(runs, x), self.y.read(runs, y)
        try:
            return self.check(x, y, *self._beside(runs))
        except NnxError:
            at = 0
            for (
                start,
                stop,
            ) in runs:  # once more, one range at a time, to name the row as it is numbered in the file
                with counted_from(start):
                    self.check(x[at : at + stop - start], y[at : at + stop - start], *self._beside([(start, stop)]))
                at += stop - start
            raise

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
        return Plan(self.count, chunk_rows(rows, max(self.x.chunk, self.y.chunk)), rows)

    def digest(self) -> str:
        """Return a checksum that tells these from other examples; see `digest_of`."""
        found = hashlib.blake2b(
            f"{digest_of(self.x, self.y)} {self.x.chunk} {self.y.chunk}".encode(), digest_size=16
        )
        for part in (self.weight, self.lengths):
            found.update(b"none" if part is None else np.ascontiguousarray(part).data)
        return found.hexdigest()


AnyExamples: TypeAlias = Examples | StoredExamples
"""Checked examples, in memory or in their file."""


def held(examples: AnyExamples, batch: int) -> Examples:
    """Return examples of as many rows as training or measuring in batches of that size holds: shapes, no values."""
    if isinstance(examples, Examples):
        return examples
    first = examples.first()
    plan = examples.plan(min(batch, examples.count), first.x.dtype.itemsize)
    rows = examples.count if plan.buffers == 1 else 2 * plan.buffer

    def spread(part: Host) -> Host:
        return np.broadcast_to(part, (rows, *part.shape[1:]))

    weight, lengths, real, marks = (
        None if part is None else spread(part) for part in (first.weight, first.lengths, first.real, first.marks)
    )
    x, targets = spread(first.x), spread(first.targets)
    return Examples(x, targets, weight, lengths, real, marks, first.steps, first.stretch)


def in_memory(examples: AnyExamples, batch: int) -> Examples:
    """Return examples that one buffer holds, read if they stand in a file.

    Raises:
        OptionError: they are more than one buffer.
    """
    if isinstance(examples, Examples):
        return examples
    if examples.plan(min(batch, examples.count), examples.first().x.dtype.itemsize).buffers > 1:
        raise OptionError(
            f"distributed=True needs data in memory, but the {examples.count} rows in the file are more than one "
            "buffer; give arrays, such as dataset[:], or train on one process."
        )
    return examples.all()


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
