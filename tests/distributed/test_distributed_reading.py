"""Ranks that train from one file read disjoint rows, and together the batches of one process."""

from __future__ import annotations

import pickle
from itertools import chain
from typing import Any

import h5py
import numpy as np
import pytest

import nnx
from nnx.distributed.shares import RankShare, own_places
from nnx.distributed.streamed import StoredRankBatches
from nnx.errors import (
    BackendUnavailableError,
    DataError,
    MemoryLimitError,
    NnxError,
    StorageError,
    UnknownNameError,
)
from nnx.stored import StoredBatches, StoredExamples
from nnx.stored.plan import Plan, Shuffle
from nnx.stored.source import Source

ROWS, BATCH = 83, 8


class LoneGroup:
    """A rank of so many, which hears of none of the others."""

    def __init__(self, rank: int, size: int) -> None:
        self.rank, self.size = rank, size

    def collect(self, value: object) -> list[object]:
        return [pickle.loads(pickle.dumps(value))]  # as MPI sends it

    def agree_on(self, error: BaseException) -> BaseException:
        return error


@pytest.fixture
def stored(monkeypatch):
    """Return a model and its examples, row i of which holds i, in buffers of 16 rows, the last of three."""
    monkeypatch.setattr("nnx.stored.plan.BUFFER_BYTES", 16 * 3 * 8)
    monkeypatch.setattr("nnx.stored.plan.CHUNKS", 5)
    model = nnx.Sequential([nnx.Dense(3)], input_shape=(2,), dtype="float64", backend="numpy")
    model.compile("softmax_cross_entropy")
    with h5py.File("examples.h5", "w", driver="core", backing_store=False) as file:
        file["x"], file["y"] = np.repeat(np.arange(ROWS), 2).reshape(ROWS, 2), np.arange(ROWS) % 3
        yield model, model.accept(file["x"], file["y"])


def batches_of(model: nnx.Sequential, examples: StoredExamples, rank: int, size: int) -> StoredRankBatches:
    plan = examples.plan(BATCH, 8)
    return StoredRankBatches(LoneGroup(rank, size), model.ops, examples, BATCH, plan, repeated=False)


def rows_by_batch(batches: StoredBatches, share: Any) -> list[list[int]]:
    """Return which rows each batch holds here, of an epoch in a shuffle; `share` tells how many count."""
    batches.shuffle(4, 1)
    batches.restart()
    found = []
    for first, last in batches.ranges(0, batches.steps):
        for rows in batches.rows[first:last].tolist():
            part = batches.gather(rows)
            assert (part.x[:, 0] % 3 == part.targets).all()
            found.append(part.x[: share(rows), 0].astype(int).tolist())
    batches.close()
    return found


@pytest.mark.parametrize("size", [1, 2, 3, 4, 7, 9])
def test_the_shares_of_all_ranks_together_are_the_batches_of_one_process(stored, size):
    model, examples = stored
    whole = StoredBatches(model.ops, examples, BATCH, examples.plan(BATCH, 8), repeated=False)
    parts = []
    for rank in range(size):
        batches = batches_of(model, examples, rank, size)
        parts.append(rows_by_batch(batches, lambda rows, rank=rank: RankShare.of(LoneGroup(rank, size), rows).rows))
    together = [list(chain.from_iterable(shares)) for shares in zip(*parts, strict=True)]
    assert together == rows_by_batch(whole, lambda rows: rows)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 7, 9])
def test_every_row_is_read_once_by_one_rank(stored, size, monkeypatch):
    model, examples = stored
    read, fill = [], Source.fill

    def noting(self: Source, runs: Any, out: Any) -> bool:
        read.extend(row for start, stop in runs for row in range(start, stop))
        return fill(self, runs, out)

    monkeypatch.setattr(Source, "fill", noting)
    for rank in range(size):
        rows_by_batch(batches_of(model, examples, rank, size), lambda rows: rows)
    assert sorted(read) == list(range(ROWS))


@pytest.mark.parametrize("size", [1, 2, 3, 4, 8])
def test_what_a_rank_reads_of_a_buffer_are_whole_stretches_of_the_file(size):
    plan = Plan(100_000, 100, 3200, 64)
    for number in (0, 17):
        for rank in range(size):
            places = own_places(LoneGroup(rank, size), plan.order(Shuffle(1, 2), number), 64)
            runs = plan.runs_of(Shuffle(1, 2), number, np.sort(places[places >= 0]))
            assert len(runs) <= -(-32 // size) + 2


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (DataError("y is wrong"), DataError),
        (StorageError("x cannot be read"), StorageError),
        (UnknownNameError("loss", "mse", ["mean_squared_error"]), NnxError),
        (MemoryLimitError("a buffer", 2**40, 2**30, "make it smaller."), NnxError),
        (BackendUnavailableError("cuda", "No CUDA device was found."), NnxError),
    ],
)
def test_what_one_rank_cannot_read_all_refuse_in_the_same_words(stored, monkeypatch, error, kind):
    model, examples = stored
    batches = batches_of(model, examples, 0, 2)

    def failing(*_: object) -> None:
        raise error

    monkeypatch.setattr(batches, "_fill", failing)
    batches.shuffle(4, 1)
    with pytest.raises(kind) as caught:
        batches.restart()
    assert type(caught.value) is kind
    assert str(caught.value) == str(error)


def test_what_every_rank_holds_shrinks_with_their_number(stored):
    model, examples = stored
    halves = [len(batches_of(model, examples, 0, size)._buffers.order) for size in (1, 2, 4)]
    assert halves == [32, 16, 8]
