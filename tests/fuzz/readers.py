"""Every reader of nnx that takes files from others: whole files, how they are changed, and what may be raised."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

import nnx
from benchmarks import experiments, results
from nnx.cli.images import read_image
from nnx.configuration import to_config
from nnx.datasets.idx import read_idx
from nnx.datasets.series import read_monthly
from nnx.datasets.text import read_text
from nnx.errors import DataError, DtypeError, FileFormatError, OptionError, ShapeError, UnknownNameError
from nnx.experiments.execution.keeping import Kept
from nnx.hdf5 import read_hdf5
from nnx.report import results as pages
from nnx.report import runs
from nnx.serialization import read_run
from tests.fuzz import hdf5_files, json_values, onnx_files, pictures, plain_files, report_pages, whole_files
from tests.fuzz.damage import ANY, Mutation
from tests.fuzz.whole_files import HEADER, KEY, LAYOUT, Shift, dense_model


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
    "model": Reader("model.h5", whole_files.models, _read_model, _SEALED, checked=True),
    "run": Reader("run.h5", whole_files.runs, _read_run, _SEALED, (FileFormatError, OptionError), checked=True),
    "weights": Reader(
        "w.safetensors",
        whole_files.weights,
        lambda path: dense_model().load_weights(path),
        (plain_files.safetensors_header,) * 6,
        _NAMED,
    ),
    "onnx": Reader("m.onnx", whole_files.onnx, _read_onnx, (onnx_files.rewire,) * 20),
    "hdf5 data": Reader("data.h5", whole_files.hdf5_data, _read_hdf5_data, _HDF5),
    "idx": Reader(
        "x.gz",
        whole_files.idx,
        _read_idx,
        (*[plain_files.damage_unpacked] * 4, *[plain_files.idx_header] * 4),
        checked=True,
    ),
    "csv": Reader("series.csv", whole_files.csv, _read_csv, (plain_files.csv_cells,) * 8),
    "text": Reader("text.txt", whole_files.text, read_text),
    "toml": Reader(
        "run.toml", whole_files.toml, _read_toml, (plain_files.toml_lines,) * 8, (OptionError, UnknownNameError)
    ),
    "picture": Reader("picture", pictures.samples, _read_picture, _PICTURES),
    "kept result": Reader(
        Kept(Path()).path(KEY).name,
        whole_files.kept,
        _read_kept,
        (*_JSON * 5, *[json_values.forge_result] * 10),
        checked=True,
    ),
    "report": Reader("report.json", whole_files.reports, _read_report, _JSON * 10),
    "benchmark results": Reader("cpu.json", whole_files.benchmarks, results.read, _JSON * 4),
    "page of a run": Reader(
        "run.h5",
        whole_files.runs,
        report_pages.checked(runs.section),
        (*_SEALED * 3, *[report_pages.forge_history] * 3),
        report_pages.REFUSALS,
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
