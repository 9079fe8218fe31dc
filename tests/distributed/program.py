"""What each rank runs: `mpiexec -n 2 python -m tests.distributed.program FOLDER CASE...`; rank 0 writes files."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import numpy as np

import nnx

ROWS = 37  # no multiple of a batch, nor a batch of the number of ranks


def data(rows: int = ROWS, features: int = 6) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(5)
    x = random.standard_normal((rows, features)).astype("float32")
    return x, (x[:, 0] + x[:, 1] * x[:, 2] > 0).astype("int64")


def dense(backend: str, dtype: str = "float64", **options: object) -> nnx.Sequential:
    layers = [nnx.Dense(9, activation="tanh"), nnx.Dense(2)]
    return nnx.Sequential(layers, seed=3, dtype=dtype, backend=backend).compile(
        "softmax_cross_entropy", nnx.Adam(0.01), **options
    )


def everything(backend: str, dtype: str = "float64") -> nnx.Sequential:
    """Return a model of all that several rows, or their numbers, have to do with."""
    layers = [
        nnx.Reshape((3, 2)),
        nnx.TimeDistributed([nnx.Dense(5), nnx.BatchNorm(), nnx.Activation("tanh"), nnx.Dropout(0.3)]),
        nnx.SpatialDropout(0.2),
        nnx.Flatten(),
        nnx.Dense(8),
        nnx.BatchNorm(),
        nnx.Activation("relu"),
        nnx.Dropout(0.4),
        nnx.Dense(2),
    ]
    optimizer = nnx.SGD(0.1, clip_norm=0.5)
    return nnx.Sequential(layers, seed=3, dtype=dtype, backend=backend).compile(
        "softmax_cross_entropy", optimizer, l2=0.1
    )


def trained(model: nnx.Sequential, **options: object) -> dict[str, np.ndarray]:
    """Train together; return weights and measurements."""
    x, y = data()
    history = model.fit(x, y, **{"epochs": 3, "batch_size": 8, "distributed": True, "progress": False, **options})
    measured = {f"history.{name}": np.asarray(values) for name, values in history.items() if name != "seconds"}
    return model.get_weights() | measured


def plain(backend: str) -> dict[str, np.ndarray]:
    return trained(dense(backend))


def wide(backend: str) -> dict[str, np.ndarray]:
    x, y = data(20)
    weight = np.linspace(0.5, 2, ROWS)
    return trained(everything(backend), validation_data=(x, y), sample_weight=weight)


def single(backend: str) -> dict[str, np.ndarray]:
    """Batches of three rows, the last of one: fewer than four ranks."""
    return trained(everything(backend), batch_size=3)


def full(backend: str) -> dict[str, np.ndarray]:
    return trained(dense(backend), batch_size="full")


def short(backend: str) -> dict[str, np.ndarray]:
    """Single precision, in which rounding shows."""
    return trained(dense(backend, "float32"))


def stopped(backend: str) -> dict[str, np.ndarray]:
    """A callback of rank 0 ends the run and puts the best weights back."""
    stop = nnx.callbacks.EarlyStopping("loss", patience=2, min_delta=0.02)
    return trained(dense(backend), epochs=60, callbacks=[stop, nnx.callbacks.ReduceLROnPlateau("loss")])


CASES = {case.__name__: case for case in (plain, wide, single, full, short, stopped)}


def main(folder: Path, names: list[str]) -> None:
    """Run the cases, named CASE-BACKEND."""
    from nnx.distributed import open_group

    group = open_group()
    for name in names:
        case, backend = name.split("-")
        found = CASES[case](backend)
        every = group.collect({key: value.tobytes() for key, value in found.items()})
        assert all(other == every[0] for other in every), "the ranks hold other weights"
        if group.leads:
            np.savez(folder / f"{name}.npz", **found)


if __name__ == "__main__":
    warnings.simplefilter("error")
    main(Path(sys.argv[1]), sys.argv[2:])
