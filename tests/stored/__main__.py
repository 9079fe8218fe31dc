"""Train on a file larger than memory is meant to hold, in a process that tells what it held at most.

python -m tests.stored --gib 4
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import h5py
import numpy as np

FEATURES, BLOCK = 784, 8192
LIMIT = 500
"""MiB resident at most."""

TRAINING = """
import sys, time
import h5py
import nnx

nnx.set_num_threads(1)
with h5py.File(sys.argv[1]) as file:
    layers = [*(nnx.Dense(units, "relu") for units in (20, 7, 5)), nnx.Dense(10)]
    model = nnx.Sequential(layers, seed=1, backend=sys.argv[2]).compile("softmax_cross_entropy", nnx.Adam())
    x, y = file["x"], file["y"]
    tail = len(x) * 15 // 16
    held_out = nnx.datasets.Rows(x, tail), nnx.datasets.Rows(y, tail)
    history = model.fit(x, y, epochs=2, batch_size=128, validation_data=held_out,
                        callbacks=[nnx.callbacks.Checkpoint(sys.argv[1] + ".run")])
    model.evaluate(x, y)
    model.predict_classes(held_out[0])
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(int(peak.split()[1]) // 1024, *(f"{seconds:.1f}" for seconds in history["seconds"]))
"""


def main() -> int:
    """Write the file, train on it on each backend, print a table; return 1 if a process held more than it may."""
    parser = argparse.ArgumentParser(prog="python -m tests.stored", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--gib", type=float, default=4.0, help="size of the file")
    parser.add_argument("--backend", action="append", help="by default numba and numpy")
    given = parser.parse_args()
    worst = 0
    print("| backend | file | resident at most | seconds per epoch |")
    print("| --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "large.h5"
        _write(path, int(given.gib * 2**30) // (4 * FEATURES))
        for backend in given.backend or ("numba", "numpy"):
            command = [sys.executable, "-c", TRAINING, str(path), backend]
            told = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
            worst = max(worst, int(told[0]))
            size = f"{path.stat().st_size / 2**30:.2f} GiB"
            print(f"| {backend} | {size} | {told[0]} MiB | {', '.join(told[1:])} |", flush=True)
    return 1 if worst >= LIMIT else 0


def _write(path: Path, rows: int) -> None:
    """Write random inputs and labels, a block at a time."""
    rng, began = np.random.default_rng(1), time.monotonic()
    with h5py.File(path, "w") as file:
        x = file.create_dataset("x", (rows, FEATURES), "float32")
        file["y"] = rng.integers(0, 10, rows)
        for start in range(0, rows, BLOCK):
            x[start : start + BLOCK] = rng.random((min(BLOCK, rows - start), FEATURES), dtype="float32")
    print(f"written in {time.monotonic() - began:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
