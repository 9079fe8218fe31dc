"""How long it takes to read a buffer of examples from a file, in time of a processor: see `benchmarks.stored`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

import nnx
from nnx.random import permutation
from nnx.stored import StoredExamples
from nnx.stored.buffers import Buffers
from nnx.stored.plan import Plan, Run, Shuffle

FEATURES, BATCH = 784, 128
REPEATS = 15
Data = tuple[Any, Any]
"""Datasets of inputs and of labels."""
Way = Callable[[Plan, Shuffle], list[Run]]
"""Returns which rows of a file are read of the first buffer."""

STORAGE: dict[str, dict[str, Any]] = {
    "float32": {"dtype": "float32"},
    "float32, chunks, gzip": {"dtype": "float32", "chunks": (256, FEATURES), "compression": "gzip"},
    "uint8": {"dtype": "uint8"},
}
"""How the inputs are stored, by name, as options of h5py."""


def write(file: Any, storage: str, rows: int) -> Data:
    """Write so many examples, mostly zeros as those of digits, and return their datasets."""
    rng = np.random.default_rng(1)
    x = file.create_dataset(storage, (rows, FEATURES), **STORAGE[storage])
    for start in range(0, rows, 10_000):
        pixels = rng.integers(0, 256, (min(10_000, rows - start), FEATURES), "uint8")
        pixels *= rng.random(pixels.shape) < 0.2
        x[start : start + len(pixels)] = pixels if storage == "uint8" else pixels / np.float32(255)
    file[f"y of {storage}"] = rng.integers(0, 10, rows)
    file.flush()
    return x, file[f"y of {storage}"]


class Reader:
    """What reads buffers of a file as training does, without training."""

    def __init__(self, data: Data) -> None:
        """Make room for two buffers."""
        model = nnx.Sequential([nnx.Dense(10)], seed=1, input_shape=(FEATURES,), backend="numpy")
        examples = model.compile("softmax_cross_entropy").accept(*data)
        assert isinstance(examples, StoredExamples)
        self.plan = examples.plan(BATCH, itemsize=4)
        self._buffers = Buffers(model.ops, examples, self.plan.buffer)

    def seconds(self, way: Way) -> float:
        """Return what reading rows of an epoch's first buffer takes at best, by the thread's own time."""
        taken = []
        for epoch in range(REPEATS):
            runs, began = way(self.plan, Shuffle(1, epoch)), time.thread_time()
            self._buffers.fill(runs, epoch % 2)
            taken.append(time.thread_time() - began)
        return min(taken)


def rate_table(stored: Mapping[str, Data]) -> Iterator[str]:
    """Yield a table of how fast whole buffers are read."""
    yield "| stored as | a buffer read and checked | inputs as the model holds them |"
    yield "| --- | ---: | ---: |"
    for storage, data in stored.items():
        reader = Reader(data)
        seconds = reader.seconds(_whole)
        speed = 4e-9 * FEATURES * reader.plan.rows_in(0) / seconds
        yield f"| {storage} | {1e3 * seconds:.1f} ms | {speed:.1f} GB/s |"


def _stretch(plan: Plan, shuffle: Shuffle) -> list[Run]:
    """Return what the first of two ranks reads: the first half of the lanes, which is that of the rows."""
    return plan.runs_of(shuffle, 0, np.arange(plan.rows_in(0) // 2))


def _scattered(plan: Plan, shuffle: Shuffle) -> list[Run]:
    rows = plan.rows_in(0)
    return plan.runs_of(shuffle, 0, np.sort(permutation(rows, 1, 1, shuffle.epoch)[: rows // 2]))


def _whole(plan: Plan, shuffle: Shuffle) -> list[Run]:
    return plan.runs(shuffle, 0)


WAYS: dict[str, Way] = {
    "a stretch of the buffer, as it is done": _stretch,
    "half of the rows, from all over it (a shuffle of single rows)": _scattered,
    "all of the buffer, half of it for nothing": _whole,
}
"""How one of two ranks could come by the rows that it computes."""


def ways_table(stored: Mapping[str, Data]) -> Iterator[str]:
    """Yield a table of what each way takes."""
    yield f"| way | pieces, {next(iter(stored))} | {' | '.join(stored)} |"
    yield f"| --- | ---: |{' ---: |' * len(stored)}"
    readers = [Reader(data) for data in stored.values()]
    for way, runs_of in WAYS.items():
        pieces = len(runs_of(readers[0].plan, Shuffle(1, 0)))
        times = [reader.seconds(runs_of) for reader in readers]
        yield f"| {way} | {pieces:,} | {' | '.join(f'{1e3 * seconds:.1f} ms' for seconds in times)} |"
