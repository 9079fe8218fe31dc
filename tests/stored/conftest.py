"""A file with the examples of a small problem, and buffers that hold few of them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from support.problems import classification

from nnx.stored import plan

ROWS = 83
"""In batches of 8 and buffers of 16 rows: five full buffers and one of three rows."""

X, Y = classification(ROWS)


@pytest.fixture
def small_buffers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Buffers of 16 rows of four features and one label in float64."""
    monkeypatch.setattr(plan, "BUFFER_BYTES", 16 * 5 * 8)
    monkeypatch.setattr(plan, "CHUNKS", 5)


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Any]:
    """An open file with the datasets x and y; no thread outlives the test."""
    before = threading.active_count()
    with h5py.File(tmp_path / "examples.h5", "w") as opened:
        opened["x"], opened["y"] = X, Y
        yield opened
    assert threading.active_count() == before


def in_memory_order(count: int, chunk: int, buffer: int, batch: int, seed: int, epoch: int) -> np.ndarray:
    """Return the documented order, made the long way round."""
    from nnx.random import permutation, stream_of

    chunks = [np.arange(start, min(start + chunk, count)) for start in range(0, count, chunk)]
    drawn = permutation(len(chunks), seed, stream_of("shuffle.chunks"), epoch)
    sequence = np.concatenate([chunks[number] for number in drawn])
    shuffled = []
    for number, start in enumerate(range(0, count, buffer)):
        rows = sequence[start : start + buffer]
        places = permutation(len(rows), seed, stream_of("shuffle"), epoch + number * 2**64).tolist()
        lanes = np.array_split(np.arange(len(rows)), min(batch, len(rows)))
        drawn_of = [[place for place in places if place in lane] for lane in lanes]
        while any(drawn_of):
            shuffled.extend(rows[lane.pop(0)] for lane in drawn_of if lane)
    return np.array(shuffled)
