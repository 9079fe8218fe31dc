"""Cost as work grows: time per epoch over examples, memory against what it should be, imports, first compilation.

    python -m benchmarks.scaling epochs BACKEND EXAMPLES THREADS
    python -m benchmarks.scaling first BACKEND THREADS
    python -m benchmarks.scaling import THREADS

Each prints one JSON value, of a process in which nothing else has happened; `measure` runs them all.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import nnx
from benchmarks import environment
from nnx.errors import NnxError

COUNTS = (10_000, 30_000, 100_000, 300_000, 1_000_000)
QUICK_COUNTS = (10_000, 100_000)
SIZES = (64, 32, 10)
BATCH = 100
"""Divides all counts, so that every step does the same work."""

EPOCHS = 4
"""At least; of small data sets more, until `SECONDS` have passed. The first is not counted."""

SECONDS = 0.5
STARTS = 5


def measure(backends: Sequence[str], threads: int, quick: bool, tell: Callable[[str], None]) -> dict[str, Any]:
    """Return {"epochs": {backend: rows}, "first_fit": {backend: seconds}, "import": seconds}."""
    found: dict[str, Any] = {"epochs": {}, "first_fit": {}}
    for backend in backends:
        tell(f"cost as work grows, {backend}")
        counts = QUICK_COUNTS if quick else COUNTS
        rows = [_ask("epochs", backend, str(count), str(threads)) for count in counts]
        found["epochs"][backend] = {"rows": rows, "deviation": deviation(rows)}
        if not quick:  # compiling everything anew takes most of a quick run's time
            found["first_fit"][backend] = _first_fits(backend, threads)
    found["import"] = min(_ask("import", str(threads)) for _ in range(STARTS))
    return found


def deviation(rows: Sequence[dict[str, float]]) -> float:
    """Return how far the time per example lies from proportional, at most: 0.1 is ten per cent off the median."""
    each = [row["seconds"] / row["examples"] for row in rows]
    middle = statistics.median(each)
    return max(abs(value / middle - 1) for value in each)


def _first_fits(backend: str, threads: int) -> dict[str, float]:
    """Time the first `fit` of a process: with an empty cache of compiled kernels, and with that cache filled."""
    with tempfile.TemporaryDirectory() as cache:
        empty = _ask("first", backend, str(threads), NUMBA_CACHE_DIR=cache)
        later = min(_ask("first", backend, str(threads), NUMBA_CACHE_DIR=cache) for _ in range(3))
    return {"after_install": empty, "later": later}


def _ask(*arguments: str, **variables: str) -> Any:
    command = [sys.executable, "-m", "benchmarks.scaling", *arguments]
    env = {**environment.clean(int(arguments[-1])), **variables}
    done = subprocess.run(command, env=env, cwd=environment.ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise NnxError(f"Measuring the cost as work grows failed ({' '.join(arguments)}): {last}")
    return json.loads(done.stdout)


def epochs(backend: str, count: int) -> dict[str, float]:
    """Train on so many examples; return seconds per epoch, and bytes in use against bytes required."""
    rng = np.random.default_rng(0)
    x = rng.random((count, SIZES[0]), np.float32)
    y = rng.integers(0, SIZES[-1], count)
    model = _network(backend)
    model.fit(x[:BATCH], y[:BATCH], batch_size=BATCH, progress=False)  # kernels and libraries are there after it
    need = model.memory(BATCH, examples=count)
    watcher = _watcher(model, _resident(model))
    history = model.fit(x, y, epochs=10**6, batch_size=BATCH, callbacks=[watcher], progress=False)
    seconds = min(history["seconds"][1:])
    return {"examples": count, "seconds": seconds, "bytes": watcher.most, "required": need.training}


def _network(backend: str) -> Any:
    layers = [nnx.Dense(units, activation="relu") for units in SIZES[1:-1]]
    model = nnx.Sequential([*layers, nnx.Dense(SIZES[-1])], input_shape=SIZES[:1], backend=backend)
    return model.compile("softmax_cross_entropy", nnx.Adam(0.001))


def _resident(model: Any) -> int:
    """Return the bytes in use: of this process, or of the device the model lives on."""
    if model.backend.name == "cupy":
        import cupy

        free, total = cupy.cuda.runtime.memGetInfo()  # what CuPy's pool holds for reuse counts as in use
        return int(total - free)
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def _watcher(model: Any, before: int) -> Any:
    """Return a callback that ends training when it is time, and keeps the most memory in use after an epoch."""

    class Watcher(nnx.callbacks.Callback):
        most = 0
        end = time.perf_counter() + SECONDS

        def on_epoch_end(self, run: Any, epoch: int, logs: Any) -> None:
            """Look at memory and clock."""
            del logs
            self.most = max(self.most, _resident(model) - before)
            if epoch + 1 >= EPOCHS and time.perf_counter() >= self.end:
                run.stop("enough was seen")

    return Watcher()


def first_fit(backend: str) -> float:
    """Return the seconds of this process's first training: layers of every kind, one step."""
    rng = np.random.default_rng(0)
    x, y = rng.random((64, 20), np.float32), rng.integers(0, 10, 64)
    began = time.perf_counter()
    layers = [nnx.Dense(32, bias=False), nnx.BatchNorm(), nnx.Activation("relu"), nnx.Dropout(0.2), nnx.Dense(10)]
    model = nnx.Sequential(layers, backend=backend).compile("softmax_cross_entropy", nnx.Adam(0.001))
    model.fit(x, y, epochs=2, batch_size=32, progress=False)
    return time.perf_counter() - began


def import_seconds() -> float:
    """Return the seconds that `import nnx` takes in a new process, NumPy and h5py included."""
    code = "import time; began = time.perf_counter(); import nnx; print(time.perf_counter() - began)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return float(done.stdout)


def main(what: str, *arguments: str) -> None:
    """Print what was asked for."""
    environment.pin(int(arguments[-1]))
    if what == "epochs":
        print(json.dumps(epochs(arguments[0], int(arguments[1]))))
    elif what == "first":
        print(json.dumps(first_fit(arguments[0])))
    else:
        print(json.dumps(import_seconds()))


if __name__ == "__main__":
    main(*sys.argv[1:])
