"""Whole files for every reader, from which the damaged and hostile ones are made."""

from __future__ import annotations

import gzip
import io
import json
import struct
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np

import nnx
from benchmarks import results
from nnx.callbacks import Checkpoint, EarlyStopping
from nnx.experiments import EXPERIMENTS, Curve, Result
from nnx.experiments.execution.keeping import Done, Kept
from nnx.layers import Chain

KEY = {"experiment": "toy", "row": "first", "seed": 3, "backend": "numpy"}
LAYOUT = {"images": (np.uint8, (40, 8, 8)), "numbers": (np.float32, (50,)), "labels": (np.int64, (40,))}
HEADER = ("Month", "Passengers")


def _written(write: Callable[[Path], object]) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "file")
        write(path)
        return path.read_bytes()


@dataclass(eq=False, repr=False)
class Shift(nnx.Layer):
    """A layer of one's own that files name: x + b, after others."""

    start: float = 0.5
    shape: tuple[int, ...] = ()
    before: tuple[nnx.Layer, ...] = ()

    def setup(self, builder: Any, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Declare b."""
        self._inner = Chain(self.before)
        shape = self._inner.build(builder, shape)
        self._b = builder.parameter("b", shape[-1:], self.start)
        return shape

    def forward(self, x: Any, context: nnx.Context) -> Any:
        """Not called by any reader."""
        return self._inner.forward(x, context)


def dense_model() -> nnx.Sequential:
    """Return the model that the run is of."""
    layers = [nnx.Dense(4, activation="relu"), nnx.BatchNorm(), nnx.Dense(3)]
    return nnx.Sequential(layers, seed=1, input_shape=(3,), backend="numpy").compile("softmax_cross_entropy")


@cache
def models() -> list[bytes]:
    """Return three models: dense, of images, and of tokens."""
    schedule = nnx.schedules.WarmUp(nnx.schedules.Cosine(0.01, 5), 1)
    inner = nnx.Residual([nnx.Dense(6, activation="leaky_relu", alpha=0.2, l2=0.1), nnx.Dropout(0.5)])
    images = [nnx.Conv2D(2, 3), nnx.MaxPool2D(2), nnx.Flatten(), inner, nnx.Dense(1)]
    tokens = [nnx.Embedding(7, 3), nnx.Bidirectional(nnx.LSTM(2)), nnx.Dense(2)]
    second = nnx.Sequential(
        [*images[:3], nnx.Dense(6), inner, nnx.Dense(1)], seed=2, input_shape=(6, 6, 1), backend="numpy"
    )
    third = nnx.Sequential(tokens, seed=3, input_shape=(5,), dtype="float64", backend="numpy")
    models = [
        dense_model(),
        second.compile("sigmoid_cross_entropy", nnx.AdamW(schedule), l2=0.1),
        third,
        nnx.Sequential(
            [Shift(shape=(2, 3), before=(nnx.Dense(3), Shift(1.0)))], seed=4, input_shape=(2,), backend="numpy"
        ),
    ]
    return [_written(lambda path, model=model: model.save(path, {"classes": ["a", "b", None]})) for model in models]


@cache
def runs() -> list[bytes]:
    """Return a run of two epochs, and a model."""
    x, y = np.arange(60.0).reshape(20, 3) % 7 / 7, np.arange(20) % 3

    def train(path: Path) -> None:
        watchers = [EarlyStopping(patience=3), Checkpoint(path)]
        dense_model().fit(x, y, epochs=2, batch_size=8, validation_split=0.2, callbacks=watchers, progress=False)

    return [_written(train), models()[0]]


@cache
def weights() -> list[bytes]:
    """Return the weights of `dense_model`."""
    return [_written(dense_model().save_weights)]


@cache
def onnx() -> list[bytes]:
    """Return three models of other layers."""
    images = [nnx.Conv2D(2, 2, activation="relu"), nnx.MaxPool2D(2), nnx.Residual([nnx.BatchNorm()]), nnx.Flatten()]
    films = [nnx.TimeDistributed([nnx.Conv1D(2, 2), nnx.Flatten()]), nnx.Bidirectional(nnx.GRU(2), "sum")]
    models = [
        nnx.Sequential([*images, nnx.Dense(2, "silu")], input_shape=(5, 5, 2), backend="numpy"),
        nnx.Sequential([nnx.Embedding(5, 3), nnx.LSTM(2, return_state=True)], input_shape=(4,), backend="numpy"),
        nnx.Sequential([*films, nnx.LayerNorm(), nnx.Dense(2)], input_shape=(3, 4, 2), backend="numpy"),
    ]
    return [_written(model.export_onnx) for model in models]


@cache
def hdf5_data() -> list[bytes]:
    """Return arrays in compressed chunks, as `LAYOUT` has them."""
    image = io.BytesIO()
    with h5py.File(image, "w", libver="earliest") as file:
        values = np.arange(2560, dtype=np.uint8).reshape(40, 8, 8) % 17
        file.create_dataset("images", data=values, chunks=(7, 8, 8), compression="gzip", track_times=False)
        options = {"chunks": (9,), "compression": "gzip", "shuffle": True, "track_times": False}
        file.create_dataset("numbers", data=np.arange(50, dtype=np.float32), **options)
        file.create_dataset("labels", data=np.arange(40), track_times=False)
    return [image.getvalue()]


def idx() -> list[bytes]:
    """Return pictures and labels."""
    body = struct.pack(">I3I", 2051, 2, 3, 4) + bytes(range(24))
    return [gzip.compress(body, mtime=0), gzip.compress(struct.pack(">2I", 2049, 24) + bytes(24), mtime=0)]


def csv() -> list[bytes]:
    """Return a long series, and one of a spreadsheet."""
    months = [f"{1949 + number // 12}-{number % 12 + 1:02}" for number in range(36)]
    lines = [",".join(HEADER), *(f"{month},{100 + number}" for number, month in enumerate(months))]
    return ["\n".join(lines).encode(), b'"Month","Passengers"\r\n1949-01,1.5e2\r\n']


def text() -> list[bytes]:
    """Return a text that is not all ASCII."""
    return ["First Citizen:\nBefore we proceed – any further, hear me speak. 😀\n".encode() * 5]


def toml() -> list[bytes]:
    """Return options of `nnx train`."""
    return [
        b'layers = [8, 4]\nbatch-size = "full"\nbatch_norm = true\nepochs = 3\njson = true\n',
        b'# slow\noptimizer = "adam"\nlearning_rate = 1e-3\nl2 = 0.5\nseed = 7\nsave = "model.h5"\n',
    ]


def kept() -> list[bytes]:
    """Return the result of `KEY`."""
    result = Result(
        {"accuracy": 0.5, "cost": float("inf"), "epochs": 7},
        {"cost": Curve([0.0, 1.0], [1.5, float("nan")])},
        {"counts": np.array([[3, 0], [1, 2]]), "weights": np.array([0.1, 2.0], np.float32)},
    )

    def keep(path: Path) -> None:
        kept = Kept(path.parent)
        kept.keep(KEY, Done(result, 2, 1, datetime(2026, 1, 2, tzinfo=UTC)))
        kept.path(KEY).rename(path)

    return [_written(keep)]


def reports() -> list[bytes]:
    """Return the report of an experiment that there is."""
    from support.experiment_reports import sample

    return [json.dumps({**sample().to_json(), "name": next(iter(EXPERIMENTS))}).encode()]


def benchmarks() -> list[bytes]:
    """Return the beginning of each part of one round of stored results."""
    path = results.FOLDER / "cpu-quick.json"
    whole = json.loads(path.read_text(encoding="utf-8"))
    part = {name: held[:12] if isinstance(held, list) else held for name, held in whole["rounds"][0].items()}
    return [json.dumps({**whole, "rounds": [part]}).encode()]
