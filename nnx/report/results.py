"""Reports of experiments, and results of benchmarks, as sections of a page."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from nnx.checkout import load_benchmarks
from nnx.errors import FileFormatError, excerpt, shown
from nnx.experiments.reporting.html import parts
from nnx.experiments.reporting.report import FORMAT
from nnx.report.finding import check_size, read_json
from nnx.report.section import Section

_LARGEST_PICTURE = 1 << 23
"""Bytes; those of the experiments have some hundred thousand."""

_MOST_PICTURES = 30
_MOST_ROUNDS, _MOST_BACKENDS, _MOST_LEVELS = 16, 24, 8
"""Of results: each of these has its own curves or lines in every picture."""

_SENSELESS = (LookupError, TypeError, AttributeError, ValueError, ArithmeticError, RecursionError)
"""What values that no nnx wrote down can lead to."""


def experiment(path: Path) -> Section:
    """Return the section of an experiment's report.json, with the pictures beside it.

    Raises:
        FileFormatError: it is damaged or foreign, or a picture is.
    """
    values = read_json(path)
    if values.get("format") != FORMAT:
        other = shown(values.get("format"))
        raise FileFormatError(f"{path}: it is no report of an experiment of format {FORMAT!r}, but of {other}.")
    try:
        names = [told["file"] for told in values["pictures"]][:_MOST_PICTURES]
        images = {name: _picture(path.parent, name) for name in names}
        found = {name: image for name, image in images.items() if image is not None}
        prefix = f"{zlib.crc32(str(path).encode()):08x}-"
        return Section("experiment", "\n".join(parts(values, found, level=3, prefix=prefix)))
    except _SENSELESS as error:
        raise FileFormatError(
            f"{path}: it is no report of an experiment, or damaged: {excerpt(str(error))}."
        ) from error


def _picture(folder: Path, name: str) -> bytes | None:
    """Return the contents of a picture in a folder; None if it is not there, or is too large."""
    path = folder / name
    try:
        if Path(name).name != name or not path.is_file() or path.stat().st_size > _LARGEST_PICTURE:
            return None
        return path.read_bytes()
    except OSError:  # no file can have such a name, or nobody may read it
        return None


def benchmark(path: Path) -> Section:
    """Return the section of a file of `nnx bench`.

    Raises:
        NnxError: this nnx was not imported from a source checkout, or matplotlib is not installed.
        FileFormatError: it is damaged or foreign.
    """
    check_size(path)
    told = path.stat()
    return _benchmark(path.resolve(), told.st_mtime_ns, told.st_size)


@lru_cache(maxsize=16)  # pictures of hundreds of curves take seconds, each time a page is asked for again
def _benchmark(path: Path, changed: int, size: int) -> Section:
    del changed, size  # they tell one state of the file from another
    checkout = load_benchmarks("report", "results")
    found: dict[str, Any] = checkout["results"].read(path)
    try:
        _check_bounded(found["rounds"])
        return Section("benchmark", "\n".join(checkout["report"].parts(found, level=3)))
    except _SENSELESS as error:
        raise FileFormatError(f"{path.name}: its results are damaged: {excerpt(str(error))}.") from error


def _check_bounded(rounds: Sequence[Mapping[str, Any]]) -> None:
    """Refuse results that would take minutes to draw.

    Raises:
        ValueError: there is more of something than any run measures.
    """
    backends = {row["backend"] for measured in rounds for row in (*measured["kernels"], *measured["workloads"])}
    levels = max((len(measured["limits"]["capacity"]) for measured in rounds), default=0)
    counts = (len(rounds), _MOST_ROUNDS), (len(backends), _MOST_BACKENDS), (levels, _MOST_LEVELS)
    for (count, most), what in zip(counts, ("rounds", "backends", "levels of memory"), strict=True):
        if count > most:
            raise ValueError(f"at most {most} {what} are drawn, got {count}")
