"""A saved model, and changes to its file as a forger would make them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

import nnx
from nnx.hdf5 import CHECKSUM, checksum

RNG = np.random.default_rng(5)
X, Y = RNG.normal(size=(60, 4)).astype("float32"), RNG.integers(0, 3, 60)


def make_model(backend: str | nnx.Backend = "numpy") -> nnx.Sequential:
    schedule = nnx.schedules.WarmUp(nnx.schedules.Cosine(0.01, 5), 1)
    layers = [
        nnx.Dense(8, activation="leaky_relu", alpha=0.2, l2=0.1),
        nnx.Residual([nnx.Dense(8, activation="tanh"), nnx.LayerNorm()]),
        nnx.BatchNorm(momentum=0.2),
        nnx.Dropout(0.3),
        nnx.Dense(3, init="glorot_uniform"),
    ]
    model = nnx.Sequential(layers, seed=7, backend=backend)
    return model.compile(nnx.losses.SoftmaxCrossEntropy(smoothing=0.1), nnx.AdamW(schedule), l2=0.01)


def make_built() -> nnx.Sequential:
    model = make_model()
    model.build((4,))
    return model


def save_trained(path: Path) -> Path:
    """Save a model of two epochs with metadata."""
    model = make_model()
    model.fit(X, Y, epochs=2, batch_size=16)
    model.save(path, {"classes": ["a", "b", "c"]})
    return path


def seal(file: h5py.File, name: str, values: np.ndarray) -> None:
    """Write a dataset as a forger would, its checksum with it."""
    file[name] = values
    file[name].attrs[CHECKSUM] = checksum(values)


def edit_config(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the configuration in a file, its checksum with it."""
    with h5py.File(path, "r+") as file:
        config = json.loads(file["config"][...].tobytes())
        change(config)
        del file["config"]
        seal(file, "config", np.frombuffer(json.dumps(config).encode(), np.uint8))
