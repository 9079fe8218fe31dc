"""How fast `fit` trains on an HDF5 dataset, against the same data in memory.

    python -m benchmarks.stored           # writes the tables of benchmarks/results/streaming.md
    python -m benchmarks.stored --ways    # how several processes could read: writes the table of docs/scaling.md

Both train in the same process, a few epochs at a time in turns, so that whatever else the machine does meets both.
The file has just been written: it is in the page cache. One thread computes; streaming has a second one, to read.
How fast that one is by itself is told first, in time of a processor, which other work disturbs less.
With --backend, --storage or --network, tables of that alone are printed, and none is written.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import h5py
import numpy as np

import nnx
from benchmarks.reading import BATCH, REPEATS, STORAGE, Data, rate_table, ways_table, write
from nnx.machine import cores, processor

ROOT = Path(__file__).resolve().parents[1]
SPEED, WAYS = ROOT / "benchmarks" / "results" / "streaming.md", ROOT / "docs" / "scaling.md"
Network = Callable[[], list[nnx.Layer]]

NETWORKS: dict[str, tuple[Network, int]] = {
    "784-512-512-10": (lambda: [nnx.Dense(512, "relu"), nnx.Dense(512, "relu"), nnx.Dense(10)], 1),
    "784-20-7-5-10": (lambda: [*(nnx.Dense(units, "relu") for units in (20, 7, 5)), nnx.Dense(10)], 8),
}
"""The layers, and how many epochs are measured in a turn."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print the tables and write them between the marks of their page."""
    given = _parser().parse_args(arguments)
    nnx.set_num_threads(1)
    part = given.backend or given.storage or given.network
    names = given.storage or (["float32", "float32, chunks, gzip"] if given.ways else list(STORAGE))
    with tempfile.TemporaryDirectory() as folder, h5py.File(Path(folder) / "examples.h5", "w") as file:
        stored = {name: write(file, name, given.rows) for name in names}
        for mark, lines in _tables(stored, given):
            text = _told(lines)
            if not part:
                _put(WAYS if given.ways else SPEED, mark, text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.stored", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--ways", action="store_true", help="measure ways to read for several processes instead")
    parser.add_argument("--rows", type=int, default=40_000, help="examples of 784 features")
    parser.add_argument("--turns", type=int, default=3, help="how often each of both trains")
    parser.add_argument("--backend", action="append", help="by default numba and numpy")
    parser.add_argument("--storage", action="append", choices=list(STORAGE), help="by default all")
    parser.add_argument("--network", action="append", choices=list(NETWORKS), help="by default both")
    return parser


def _tables(stored: Mapping[str, Data], given: argparse.Namespace) -> Iterator[tuple[str, Iterable[str]]]:
    """Yield the marks between which tables stand, and the lines of each, which are measured as they are taken."""
    if given.ways:
        yield "ways", [*_machine(f"best of {REPEATS}"), *ways_table(stored)]
        return
    yield "reading", [*_machine(f"best of {REPEATS}"), *rate_table(stored)]
    yield "training", _training(stored, given)


def _machine(how: str) -> Iterator[str]:
    yield f"{processor()}, {cores()} cores, load average {os.getloadavg()[0]:.1f} as it began; {how}."
    yield ""


def _told(lines: Iterable[str]) -> str:
    """Print lines as they come; return them as text."""
    told = []
    for line in lines:
        print(line, flush=True)
        told.append(line)
    print()
    return "\n".join(told)


def _put(page: Path, mark: str, text: str) -> None:
    """Write a text between the marks of that name in a page."""
    begin, end = f"<!-- {mark}: begin -->", f"<!-- {mark}: end -->"
    before, rest = page.read_text(encoding="utf-8").split(begin)
    page.write_text(f"{before}{begin}\n{text}\n{end}{rest.split(end)[1]}", encoding="utf-8")


def _training(stored: Mapping[str, Data], given: argparse.Namespace) -> Iterator[str]:
    yield from _machine(f"{given.rows:,} rows in batches of {BATCH}, {given.turns} turns")
    yield "| network | backend | stored as | in memory | streamed | times as fast (quartiles) | best by best |"
    yield "| --- | --- | --- | ---: | ---: | ---: | ---: |"
    for name in given.network or NETWORKS:
        for storage, data in stored.items():
            for backend in given.backend or ("numba", "numpy"):
                yield _row(name, backend, storage, data, given.turns)


def _row(name: str, backend: str, storage: str, data: Data, turns: int) -> str:
    layers, epochs = NETWORKS[name]
    held = np.asarray(data[0]), np.asarray(data[1])
    pairs = [[_seconds(layers, backend, given, epochs) for given in (held, data)] for _ in range(turns)]
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
