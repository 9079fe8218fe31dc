"""The results as one self-contained HTML page."""

from __future__ import annotations

import html
import importlib.util
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchmarks import figures
from benchmarks.table import seconds
from nnx.errors import NnxError
from nnx.pages.page import document
from nnx.pages.parts import paragraph, picture, scrolling, table

_NUMBERS = ("time", "its time", "times as fast", "quartiles", "of limit")
_COLUMNS = ("task", "backend", "time", "best peer", *_NUMBERS[1:], "target")
_VIEW = re.compile(r'viewBox="([^"]+)"')
_POINTS_PER_PIXEL = 72 / 96


def page(found: Mapping[str, Any]) -> str:
    """Return the page.

    Raises:
        NnxError: matplotlib is not installed.
    """
    return document(title(found), "\n".join(parts(found)))


def title(found: Mapping[str, Any]) -> str:
    """Return what was measured where, as plain text."""
    machine = found["machine"]
    return f"nnx on {machine['processor']}, {machine['cores']} cores"


def parts(found: Mapping[str, Any], level: int = 1) -> Iterator[str]:
    """Yield the parts of the page, as HTML; level is that of the title among headings, 1 to 4.

    Raises:
        NnxError: matplotlib is not installed.
    """
    need_matplotlib()
    yield _heading(title(found), level)
    yield _versions(found["machine"])
    for measured in found["rounds"]:
        yield from _round(measured, level + 1)
    if "scaling" in found:  # a run of some workloads alone has none
        yield from _scaling(found["scaling"], level + 1)


def _heading(text: str, level: int) -> str:
    return f"<h{level}>{html.escape(text)}</h{level}>"


def need_matplotlib() -> None:
    """Raise NnxError if the report cannot be drawn."""
    if importlib.util.find_spec("matplotlib") is None:
        raise NnxError("--report needs matplotlib, which is not installed: python -m pip install -e '.[bench]'.")


def _versions(machine: Mapping[str, Any]) -> str:
    listed = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    return paragraph(f"Python {machine['python']}, {listed}; {', '.join(machine['instructions'])}.")


def _round(measured: Mapping[str, Any], level: int) -> Iterator[str]:
    threads, limits = measured["threads"], measured["limits"]
    yield _heading(f"{threads} thread{'s' * (threads > 1)}", level)
    rates = ", ".join(f"{level} {rate / 1e9:.0f}" for level, rate in limits["bandwidth"].items())
    place = ", ".join(f"{level} {rate / 1e9:.0f}" for level, rate in limits["in_place"].items())
    yield paragraph(
        f"Limits measured in this run: products {limits['sgemm'] / 1e9:.0f} GFLOP/s, multiply-adds in registers "
        f"{limits['multiply_add'] / 1e9:.0f} GFLOP/s; GB/s to other memory {rates}; in place {place}."
    )
    yield _heading("Against the best peer", level + 1)
    yield _ratios(measured["verdicts"])
    if measured["kernels"]:
        yield _heading("Time over size", level + 1)
        yield _drawn(figures.time_over_size(measured["kernels"], limits["capacity"]), "Time over size")
    if measured["kernels"] or measured["workloads"]:
        yield _heading("Rooflines", level + 1)
        yield _drawn(figures.roofline(measured["kernels"], measured["workloads"], limits), "Rooflines")
    yield _heading("Who took part", level + 1)
    yield _contenders(measured["contenders"])


def _drawn(svg: str, words: str) -> str:
    """Return a picture that scrolls where it would be too small to read."""
    _, _, width, height = (float(side) for side in _VIEW.findall(svg)[0].split())
    size = round(width / _POINTS_PER_PIXEL), round(height / _POINTS_PER_PIXEL)
    return f'<div class="drawn">{scrolling(picture(svg.encode(), "svg+xml", words, size), words)}</div>'


def _ratios(verdicts: Sequence[Mapping[str, Any]]) -> str:
    rows = [_cells(row) for row in verdicts]
    return table(_COLUMNS, rows, "Against the best peer", _NUMBERS, ("met", "missed"))


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what stands below each of the columns."""
    return (
        row["task"],
        row["ours"].partition(":")[2],
        seconds(row["seconds"]),
        row["against"],
        seconds(row["against_seconds"]),
        f"{row['ratio']:.2f}",
        f"{row['low']:.2f} to {row['high']:.2f}",
        "" if row["share"] is None else f"{row['share']:.0%}",
        _target(row),
    )


def _target(row: Mapping[str, Any]) -> str:
    if row["disputed"]:
        return "computed something else"
    return {True: "met", False: "missed", None: ""}[row["met"]]


def _contenders(found: Mapping[str, Mapping[str, Any]]) -> str:
    rows = [
        (
            name,
            ", ".join(f"{key} {value}" for key, value in described["versions"].items()),
            "; ".join(
                f"{pool['library']}: {pool['architecture']}, {pool['num_threads']}" for pool in described["blas"]
            ),
            seconds(described["loading_seconds"]),
        )
        for name, described in found.items()
    ]
    heading = ("contender", "versions", "BLAS kernels in use, threads", "loaded in")
    return table(heading, rows, "Who took part", heading[3:], kind="results")


def _scaling(found: Mapping[str, Any], level: int) -> Iterator[str]:
    yield _heading("Cost as work grows", level)
    rows = [
        (
            backend,
            f"{row['examples']:,}",
            seconds(row["seconds"]),
            seconds(row["seconds"] / row["examples"]),
            f"{row['bytes'] / 1e6:.1f} MB",
            f"{row['required'] / 1e6:.1f} MB",
        )
        for backend, measured in found["epochs"].items()
        for row in measured["rows"]
    ]
    heading = ("backend", "examples", "per epoch", "per example", "memory in use", "memory required")
    yield table(heading, rows, "Cost as work grows", heading[1:])
    first = [
        (backend, seconds(measured["after_install"]), seconds(measured["later"]))
        for backend, measured in found["first_fit"].items()
    ]
    times = ("first fit after install", "first fit of later processes")
    yield table(("backend", *times), first, "First fits", times)
    yield f"<p><code>import nnx</code>: {html.escape(seconds(found['import']))}</p>"
