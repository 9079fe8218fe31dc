"""How fast `fit` trains on an HDF5 dataset, against the same data in memory: python -m benchmarks.stored.

Both train in the same process, a few epochs at a time in turns, so that whatever else the machine does meets both.
The file has just been written: it is in the page cache. One thread computes; streaming has a second one, to read.
How fast that one is by itself is told first, in time of a processor, which other work disturbs less.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import h5py
import numpy as np

import nnx
from nnx.stored import StoredExamples
from nnx.stored.buffers import Buffers
from nnx.stored.plan import Shuffle

FEATURES, BATCH = 784, 128
Network = Callable[[], list[nnx.Layer]]

NETWORKS: dict[str, tuple[Network, int]] = {
    "784-512-512-10": (lambda: [nnx.Dense(512, "relu"), nnx.Dense(512, "relu"), nnx.Dense(10)], 1),
    "784-20-7-5-10": (lambda: [*(nnx.Dense(units, "relu") for units in (20, 7, 5)), nnx.Dense(10)], 8),
}
"""The layers, and how many epochs are measured in a turn."""

STORAGE: dict[str, dict[str, Any]] = {
    "float32": {"dtype": "float32"},
    "float32, chunks, gzip": {"dtype": "float32", "chunks": (256, FEATURES), "compression": "gzip"},
    "uint8": {"dtype": "uint8"},
}
"""How the inputs are stored, by name, as options of h5py."""


def main() -> None:
    """Measure and print a table in Markdown."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.stored", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--rows", type=int, default=60_000, help="examples of 784 features")
    parser.add_argument("--turns", type=int, default=5, help="how often each of both trains")
    parser.add_argument("--backend", action="append", help="by default numba and numpy")
    parser.add_argument("--storage", action="append", choices=list(STORAGE), help="by default all")
    parser.add_argument("--network", action="append", choices=list(NETWORKS), help="by default both")
    given = parser.parse_args()
    nnx.set_num_threads(1)
    load = os.getloadavg()[0]
    print(f"{os.cpu_count()} cores, load {load:.1f} as it began; {given.rows} rows, batches of {BATCH}\n")
    with tempfile.TemporaryDirectory() as folder, h5py.File(Path(folder) / "examples.h5", "w") as file:
        stored = {name: _write(file, name, given.rows) for name in given.storage or STORAGE}
        print("| stored as | a buffer read and checked | inputs as the model holds them |\n| --- | --- | --- |")
        for storage, (x, y) in stored.items():
            print(f"| {storage} | {_reading(x, y)} |", flush=True)
        print(
            "\n| network | backend | stored as | in memory | streamed | times as fast (quartiles) | best by best |"
        )
        print("| --- | --- | --- | --- | --- | --- | --- |")
        for storage, (x, y) in stored.items():
            for name in given.network or NETWORKS:
                for backend in given.backend or ("numba", "numpy"):
                    print(_row(name, backend, storage, x, y, given.turns), flush=True)


def _write(file: Any, storage: str, rows: int) -> tuple[Any, Any]:
    rng = np.random.default_rng(1)
    x = file.create_dataset(storage, (rows, FEATURES), **STORAGE[storage])
    for start in range(0, rows, 10_000):
        pixels = rng.integers(0, 256, (min(10_000, rows - start), FEATURES), "uint8")
        pixels *= rng.random(pixels.shape) < 0.2  # most are black, as those of digits
        x[start : start + len(pixels)] = pixels if storage == "uint8" else pixels / np.float32(255)
    file[f"y of {storage}"] = rng.integers(0, 10, rows)
    file.flush()
    return x, file[f"y of {storage}"]


def _reading(x: Any, y: Any) -> str:
    """Return the milliseconds of a processor that reading a buffer of a shuffled epoch takes at best, and GB/s."""
    model = nnx.Sequential([nnx.Dense(10)], seed=1, input_shape=(FEATURES,), backend="numpy")
    examples = model.compile("softmax_cross_entropy").accept(x, y)
    assert isinstance(examples, StoredExamples)
    plan = examples.plan(BATCH, itemsize=4)
    buffers, seconds = Buffers(model.ops, examples, plan.buffer), []
    for epoch in range(10):
        runs, began = plan.runs(Shuffle(1, epoch), 0), time.thread_time()
        buffers.fill(runs, epoch % 2)
        seconds.append(time.thread_time() - began)
    return f"{1e3 * min(seconds):.1f} ms | {4e-9 * FEATURES * plan.rows_in(0) / min(seconds):.1f} GB/s"


def _row(name: str, backend: str, storage: str, x: Any, y: Any, turns: int) -> str:
    layers, epochs = NETWORKS[name]
    held = np.asarray(x), np.asarray(y)
    pairs = [[_seconds(layers, backend, data, epochs) for data in (held, (x, y))] for _ in range(turns)]
    memory, streamed = zip(*pairs, strict=True)
    quarter, half, most = np.quantile(np.divide(memory, streamed), [0.25, 0.5, 0.75])
    spread, best = f"**{half:.2f}** ({quarter:.2f} to {most:.2f})", f"{min(memory) / min(streamed):.2f}"
    cells = name, backend, storage, f"{median(memory):.3f} s", f"{median(streamed):.3f} s", spread, best
    return f"| {' | '.join(cells)} |"


def _seconds(layers: Network, backend: str, data: tuple[Any, Any], epochs: int) -> float:
    """Return the seconds of the fastest epoch but the first, in which the step is recorded."""
    model = nnx.Sequential(layers(), seed=1, backend=backend).compile("softmax_cross_entropy", nnx.Adam())
    seconds = model.fit(*data, epochs=epochs + 1, batch_size=BATCH)["seconds"]
    return min(seconds[1:])


if __name__ == "__main__":
    main()
