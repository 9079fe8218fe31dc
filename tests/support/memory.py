"""Training in a process of its own, and the most memory it took, beside what was computed.

python -m tests.support.memory     prints the table of all networks and engines
"""

from __future__ import annotations

import ctypes
import gc
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

import nnx

NETWORKS = ("dense", "cnn", "lstm")
ROOT = Path(__file__).resolve().parents[2]


def network(kind: str, small: bool) -> tuple[list[nnx.Layer], tuple[int, ...], int, int]:
    """Return layers, the shape of an example, the batch size and the number of examples."""
    width = 64 if small else 2048
    dense: list[nnx.Layer] = [nnx.Dense(width, "relu"), nnx.Dense(width, "relu"), nnx.Dense(10)]
    images: list[nnx.Layer] = [
        *(nnx.Conv2D(32, 3, padding="same", activation="relu"), nnx.BatchNorm(), nnx.MaxPool2D(2)),
        *(nnx.Conv2D(64, 3, activation="relu"), nnx.Flatten(), nnx.Dropout(0.2), nnx.Dense(10)),
    ]
    sequences: list[nnx.Layer] = [nnx.LSTM(128, return_sequences=True), nnx.LSTM(64), nnx.Dense(10)]
    networks: dict[str, tuple[list[nnx.Layer], tuple[int, ...], int, int]] = {
        "dense": (dense, (1024,), 512, 1024),
        "cnn": (images, (32, 32, 3), 128, 300),
        "lstm": (sequences, (100, 32), 128, 300),
    }
    return networks[kind]


def train(kind: str, engine: str) -> None:
    """Print the bytes computed and those by which this process has grown at most."""
    nnx.set_num_threads(1)
    layers, shape, _, _ = network(kind, small=True)
    x = np.random.default_rng(0).random((5, *shape), np.float32)
    warm = nnx.Sequential(layers, backend=engine).compile("softmax_cross_entropy")
    warm.fit(x, np.arange(5), batch_size=2, epochs=2)  # kernels and libraries are there after it
    layers, shape, size, count = network(kind, small=False)
    x = np.random.default_rng(0).random((count, *shape), np.float32)
    model = nnx.Sequential(layers, backend=engine).compile("softmax_cross_entropy")
    need = model.memory(size, shape, examples=count)
    del warm
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # what was freed before must not be taken again unseen
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak counts from here
    before = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    model.fit(x, np.arange(count) % 10, batch_size=size, epochs=2)
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    peak = next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
    print(need.total, peak - before)


def measure(kind: str, engine: str) -> tuple[int, int]:
    """Return the bytes computed for the training of one network, and those it took."""
    paths = os.pathsep.join(map(str, (ROOT, ROOT / "backends", ROOT / "tests")))
    # what is freed goes back to the system at once, so that the peak is of what is in use
    env = {**os.environ, "PYTHONPATH": paths, "MALLOC_MMAP_THRESHOLD_": "65536", "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "support.memory", kind, engine]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    computed, measured = map(int, done.stdout.split())
    return computed, measured


def main() -> None:
    """Print the table of all networks and engines."""
    print("| network | engine | computed | measured | measured / computed |\n| --- | --- | --- | --- | --- |")
    for kind in NETWORKS:
        for engine in ("numpy", "numba"):
            computed, measured = measure(kind, engine)
            sizes = f"{computed / 2**20:.1f} MiB | {measured / 2**20:.1f} MiB | {measured / computed:.3f}"
            print(f"| {kind} | {engine} | {sizes} |")


if __name__ == "__main__":
    train(*sys.argv[1:]) if sys.argv[1:] else main()
