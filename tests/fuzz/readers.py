"""Every reader of nnx that takes files from others: whole files, how they are changed, and what may be raised."""

from __future__ import annotations

import gzip
import io
import json
import struct
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np

import nnx
from benchmarks import experiments, results
from nnx.callbacks import Checkpoint, EarlyStopping
from nnx.cli.images import read_image
from nnx.configuration import to_config
from nnx.datasets.idx import read_idx
from nnx.datasets.series import read_monthly
from nnx.datasets.text import read_text
from nnx.errors import DataError, DtypeError, FileFormatError, OptionError, ShapeError, UnknownNameError
from nnx.experiments import EXPERIMENTS, Curve, Result
from nnx.experiments.execution.keeping import Done, Kept
from nnx.hdf5 import read_hdf5
from nnx.layers import Chain
from nnx.report import results as pages
from nnx.report import runs
from nnx.serialization import read_run
from tests.fuzz import hdf5_files, json_values, onnx_files, pictures, plain_files, report_pages
from tests.fuzz.damage import ANY, Mutation

KEY = {"experiment": "toy", "row": "first", "seed": 3, "backend": "numpy"}
LAYOUT = {"images": (np.uint8, (40, 8, 8)), "numbers": (np.float32, (50,)), "labels": (np.int64, (40,))}
HEADER = ("Month", "Passengers")


@dataclass(frozen=True)
class Reader:
    """One reader.

    Attributes:
        file_name: what the file must be called.
        corpus: makes the contents of whole files.
        read: reads a file; returns what tells one content from another, for readers that check their contents.
        forged: changes that need to know the format.
        errors: all that may be raised.
        checked: whether damage that is not noticed must have left the contents as they were.
    """

    file_name: str
    corpus: Callable[[], list[bytes]]
    read: Callable[[Path], object]
    forged: tuple[Mutation, ...] = ()
    errors: tuple[type[Exception], ...] = field(default=(FileFormatError,))
    checked: bool = False


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
def _models() -> list[bytes]:
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
def _runs() -> list[bytes]:
    x, y = np.arange(60.0).reshape(20, 3) % 7 / 7, np.arange(20) % 3

    def train(path: Path) -> None:
        watchers = [EarlyStopping(patience=3), Checkpoint(path)]
        dense_model().fit(x, y, epochs=2, batch_size=8, validation_split=0.2, callbacks=watchers, progress=False)

    return [_written(train), _models()[0]]


@cache
def _weights() -> list[bytes]:
    return [_written(dense_model().save_weights)]


@cache
def _onnx() -> list[bytes]:
    images = [nnx.Conv2D(2, 2, activation="relu"), nnx.MaxPool2D(2), nnx.Residual([nnx.BatchNorm()]), nnx.Flatten()]
    films = [nnx.TimeDistributed([nnx.Conv1D(2, 2), nnx.Flatten()]), nnx.Bidirectional(nnx.GRU(2), "sum")]
    models = [
        nnx.Sequential([*images, nnx.Dense(2, "silu")], input_shape=(5, 5, 2), backend="numpy"),
        nnx.Sequential([nnx.Embedding(5, 3), nnx.LSTM(2, return_state=True)], input_shape=(4,), backend="numpy"),
        nnx.Sequential([*films, nnx.LayerNorm(), nnx.Dense(2)], input_shape=(3, 4, 2), backend="numpy"),
    ]
    return [_written(model.export_onnx) for model in models]


@cache
def _hdf5_data() -> list[bytes]:
    image = io.BytesIO()
    with h5py.File(image, "w", libver="earliest") as file:
        values = np.arange(2560, dtype=np.uint8).reshape(40, 8, 8) % 17
        file.create_dataset("images", data=values, chunks=(7, 8, 8), compression="gzip", track_times=False)
        options = {"chunks": (9,), "compression": "gzip", "shuffle": True, "track_times": False}
        file.create_dataset("numbers", data=np.arange(50, dtype=np.float32), **options)
        file.create_dataset("labels", data=np.arange(40), track_times=False)
    return [image.getvalue()]


def _idx() -> list[bytes]:
    body = struct.pack(">I3I", 2051, 2, 3, 4) + bytes(range(24))
    return [gzip.compress(body, mtime=0), gzip.compress(struct.pack(">2I", 2049, 24) + bytes(24), mtime=0)]


def _csv() -> list[bytes]:
    months = [f"{1949 + number // 12}-{number % 12 + 1:02}" for number in range(36)]
    lines = [",".join(HEADER), *(f"{month},{100 + number}" for number, month in enumerate(months))]
    return ["\n".join(lines).encode(), b'"Month","Passengers"\r\n1949-01,1.5e2\r\n']


def _text() -> list[bytes]:
    return ["First Citizen:\nBefore we proceed – any further, hear me speak. 😀\n".encode() * 5]


def _toml() -> list[bytes]:
    return [
        b'layers = [8, 4]\nbatch-size = "full"\nbatch_norm = true\nepochs = 3\njson = true\n',
        b'# slow\noptimizer = "adam"\nlearning_rate = 1e-3\nl2 = 0.5\nseed = 7\nsave = "model.h5"\n',
    ]


def _kept() -> list[bytes]:
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


def _reports() -> list[bytes]:
    from support.experiment_reports import sample

    return [json.dumps({**sample().to_json(), "name": next(iter(EXPERIMENTS))}).encode()]


def _benchmarks() -> list[bytes]:
    path = results.FOLDER / "cpu-quick.json"
    whole = json.loads(path.read_text(encoding="utf-8"))
    return [json.dumps({**whole, "rounds": whole["rounds"][:1]}).encode()[:100_000]]


def _read_model(path: Path) -> object:
    model = nnx.load(path, backend="numpy", own_classes=[Shift])
    arrays = [array.tobytes() for array in model.to_host().arrays]
    return json.dumps([to_config(model), model.metadata]), arrays


def _read_run(path: Path) -> object:
    kept = read_run(path, dense_model())
    return repr(kept.state), [array.tobytes() for array in kept.weights.arrays], kept.weights.epoch


def _read_onnx(path: Path) -> None:
    model = nnx.onnx.load(path, "numpy")
    size = sum(array.nbytes for array in model.get_weights().values())
    if size > 3 * path.stat().st_size + 1000:  # what a file may leave out are biases
        raise AssertionError(f"{size} bytes of weights from a file of {path.stat().st_size}")


def _read_hdf5_data(path: Path) -> None:
    read_hdf5(path, LAYOUT)


def _read_idx(path: Path) -> object:
    return read_idx(path, (2, 3, 4)).tobytes()


def _read_csv(path: Path) -> None:
    series = read_monthly(path, HEADER)
    if not np.isfinite(series.values).all() or np.isnat(series.months).any():
        raise AssertionError("a series holds what is no number or no month")


@cache
def _train() -> tuple[Any, type[Exception]]:
    import typer

    from nnx.cli import app
    from nnx.cli.usage import UsageError

    return typer.main.get_command(app).commands["train"], UsageError  # type: ignore[attr-defined]


def _read_toml(path: Path) -> None:
    command, usage = _train()
    try:
        command.make_context("train", ["digits", "--config", str(path)])
    except usage as error:
        raise OptionError(str(error)) from None


def _read_picture(path: Path) -> None:
    shape = (8, 8, 1) if path.stat().st_size % 2 else (10, 7, 3)
    pixels = read_image(path, shape)
    if pixels.shape != shape or not np.isfinite(pixels).all() or pixels.min() < 0 or pixels.max() > 1:
        raise AssertionError("a picture is not numbers in [0, 1]")


def _read_kept(path: Path) -> object:
    done = Kept(path.parent).find(KEY)
    if done is None:
        raise FileFormatError("found none")
    return json.dumps([done.result.to_json(), done.jobs, done.threads, str(done.date)])


def _read_report(path: Path) -> None:
    experiments.markdown(experiments.gather([path.parent]))


_HDF5 = (hdf5_files.restructure, hdf5_files.restructure_and_damage)
_JSON = (json_values.mutate_text,)
_PAGES = (*[report_pages.forge_leaves] * 30, *_JSON * 4)
_PICTURES = (pictures.another_size, pictures.plain_ppm, pictures.damage_compressed_tiff)
_SEALED = (*_HDF5, hdf5_files.forge_configuration, hdf5_files.forge_configuration)
_NAMED = (FileFormatError, UnknownNameError, ShapeError, DataError, DtypeError)

READERS = {
    "model": Reader("model.h5", _models, _read_model, _SEALED, checked=True),
    "run": Reader("run.h5", _runs, _read_run, _SEALED, (FileFormatError, OptionError), checked=True),
    "weights": Reader(
        "w.safetensors",
        _weights,
        lambda path: dense_model().load_weights(path),
        (plain_files.safetensors_header,) * 6,
        _NAMED,
    ),
    "onnx": Reader("m.onnx", _onnx, _read_onnx, (onnx_files.rewire,) * 20),
    "hdf5 data": Reader("data.h5", _hdf5_data, _read_hdf5_data, _HDF5),
    "idx": Reader(
        "x.gz", _idx, _read_idx, (*[plain_files.damage_unpacked] * 4, *[plain_files.idx_header] * 4), checked=True
    ),
    "csv": Reader("series.csv", _csv, _read_csv, (plain_files.csv_cells,) * 8),
    "text": Reader("text.txt", _text, read_text),
    "toml": Reader("run.toml", _toml, _read_toml, (plain_files.toml_lines,) * 8, (OptionError, UnknownNameError)),
    "picture": Reader("picture", pictures.samples, _read_picture, _PICTURES),
    "kept result": Reader(
        Kept(Path()).path(KEY).name, _kept, _read_kept, (*_JSON * 5, *[json_values.forge_result] * 10), checked=True
    ),
    "report": Reader("report.json", _reports, _read_report, _JSON * 10),
    "benchmark results": Reader("cpu.json", _benchmarks, results.read, _JSON * 4),
    "page of a run": Reader(
        "run.h5", _runs, report_pages.checked(runs.section), _SEALED * 3, report_pages.REFUSALS
    ),
    "page of an experiment": Reader(
        "report.json",
        report_pages.experiments,
        report_pages.checked(pages.experiment),
        _PAGES,
        report_pages.REFUSALS,
    ),
    "page of benchmarks": Reader(
        "cpu.json", report_pages.benchmarks, report_pages.checked(pages.benchmark), _PAGES, report_pages.REFUSALS
    ),
}

SLOW = ("page of benchmarks",)
"""Readers that draw pictures, which takes a good part of a second each."""


def mutations(reader: Reader) -> tuple[Mutation, ...]:
    """Return the changes that are made to files of a reader; each is as likely as any other."""
    return (*ANY, *reader.forged)
