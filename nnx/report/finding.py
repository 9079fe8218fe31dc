"""Which files a report is made of: kept runs and saved models, reports of experiments, results of benchmarks."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from nnx.checkout import ROOT, has_benchmarks
from nnx.errors import FileFormatError, OptionError, in_units
from nnx.experiments.reporting.report import FORMAT as EXPERIMENT
from nnx.experiments.reporting.writing import JSON

Kind: TypeAlias = Literal["run", "experiment", "benchmark"]

MOST = 300
"""Files of one report: beyond, nobody reads it."""

LARGEST = 1 << 23
"""Bytes of a JSON file that is read; those of nnx have some hundred thousand."""

USUAL = Path("runs")
"""The folder that is looked through if nothing is named: commands of nnx write there."""

_ENDINGS = (".h5", ".hdf5", ".json")
_HDF5 = b"\x89HDF\r\n\x1a\n"
_BEGINNING = re.compile(rb'\s*\{\s*"format":\s*(1(?=,)|"nnx experiment report )')
"""Of the JSON files that are meant, as nnx writes them."""

_WANTED = (
    "Give a model or checkpoint of nnx (.h5), the folder or report.json of an experiment, results of nnx bench "
    "(.json), or a folder of such files."
)


@dataclass(frozen=True)
class Source:
    """A file of a report, and what it is, or begins like if it is damaged."""

    kind: Kind
    path: Path


def find(paths: Sequence[Path]) -> list[Source]:
    """Return what lies at these paths, in order; folders are looked through for what is of nnx.

    What was found in a folder may be damaged: whoever reads it says so.

    Raises:
        OptionError: there is nothing at a path, or more than `MOST` files at all of them.
        FileFormatError: a path is a file of another kind.
    """
    found: dict[Path, Source] = {}
    for path in paths:
        for source in _below(path) if path.is_dir() else [Source(_kind(path), path)]:
            found.setdefault(source.path.resolve(), source)
            if len(found) > MOST:
                raise OptionError(f"PATHS hold more than {MOST} files to report on; name some of their folders.")
    return list(found.values())


def usual() -> list[Path]:
    """Return the folders that are looked through if nothing is named: of runs, and of the stored benchmarks."""
    folders = [USUAL, *([ROOT / "benchmarks" / "results"] if has_benchmarks() else [])]
    return [folder for folder in folders if folder.is_dir()]


def _below(folder: Path) -> Iterator[Source]:
    for place, folders, files in os.walk(folder):
        kept = JSON in files  # beside the report of an experiment lie its runs, thousands of them
        folders[:] = sorted(
            name for name in folders if not name.startswith(".") and not (kept and name == USUAL.name)
        )
        for name in sorted(files):
            path = Path(place) / name
            if path.suffix in _ENDINGS and not name.startswith(".") and (kind := _kind_of_found(path)):
                yield Source(kind, path)


def _kind_of_found(path: Path) -> Kind | None:
    """Return what a file that nobody named is, by its beginning if it is damaged; None if it is not of nnx."""
    beginning = _beginning(path)
    if beginning.startswith(_HDF5):
        return "run"
    meant = _BEGINNING.match(beginning)
    if meant is None:
        return None
    if meant[1] != b"1":
        return "experiment"
    try:
        return "benchmark" if "rounds" in read_json(path) else None
    except (FileFormatError, OSError):
        return "benchmark"


def _beginning(path: Path) -> bytes:
    """Return the first bytes of a file; none of a pipe, which would be waited for, or of what may not be read."""
    try:
        if not path.is_file():
            return b""
        with path.open("rb") as file:
            return file.read(200)
    except OSError:
        return b""


def _kind(path: Path) -> Kind:
    """Return what a file is.

    Raises:
        OptionError: there is none.
        FileFormatError: it is something else.
    """
    if not path.exists():
        raise OptionError(f"PATHS must exist, got {str(path)!r}. {_WANTED}")
    if not path.is_file():
        raise FileFormatError(f"{path}: it is a pipe or a device, not a file. {_WANTED}")
    if _beginning(path).startswith(_HDF5):
        return "run"
    values = read_json(path)
    if values.get("format") == EXPERIMENT:
        return "experiment"
    if "rounds" in values:
        return "benchmark"
    raise FileFormatError(f"{path}: it is no file that nnx reports on. {_WANTED}")


def check_size(path: Path) -> None:
    """Refuse a file that takes long to read.

    Raises:
        FileFormatError: it is larger than those that nnx writes.
    """
    size = path.stat().st_size
    if size > LARGEST:
        raise FileFormatError(f"{path}: expected at most {in_units(LARGEST)}, got {in_units(size)}. {_WANTED}")


def read_json(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file.

    Raises:
        FileFormatError: there is none, or a larger one than nnx writes.
    """
    check_size(path)
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise FileFormatError(f"{path}: it is neither HDF5 nor JSON. {_WANTED}") from error
    if not isinstance(values, dict):
        raise FileFormatError(f"{path}: it holds no JSON object. {_WANTED}")
    return values
