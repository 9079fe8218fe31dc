"""The results as one self-contained HTML page."""

from __future__ import annotations

import html
import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchmarks import figures
from benchmarks.table import seconds
from nnx.errors import NnxError

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 88rem; margin: 2rem auto; padding: 0 1rem; color: #222 }
table { border-collapse: collapse; font-variant-numeric: tabular-nums }
th, td { padding: 0.15rem 0.8rem; border-bottom: 1px solid #ddd; text-align: right }
th:first-child, td:first-child, th:nth-child(2), td:nth-child(2) { text-align: left }
svg { max-width: 100%; height: auto }
.met { color: #2e7d32 } .missed { color: #b3261e }
"""


def page(found: Mapping[str, Any]) -> str:
    """Return the page.

    Raises:
        NnxError: matplotlib is not installed.
    """
    need_matplotlib()
    machine = found["machine"]
    title = f"nnx on {html.escape(machine['processor'])}, {machine['cores']} cores"
    parts = [f"<h1>{title}</h1>", _versions(machine)]
    parts += [part for measured in found["rounds"] for part in _round(measured)]
    parts += [*_scaling(found["scaling"])]
    head = f'<meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style>'
    return f'<!doctype html>\n<html lang="en"><head>{head}</head><body>\n' + "\n".join(parts) + "\n</body></html>\n"


def need_matplotlib() -> None:
    """Raise NnxError if the report cannot be drawn."""
    if importlib.util.find_spec("matplotlib") is None:
        raise NnxError("--report needs matplotlib, which is not installed: python -m pip install -e '.[bench]'.")


def _versions(machine: Mapping[str, Any]) -> str:
    listed = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    return f"<p>Python {machine['python']}, {listed}; {', '.join(machine['instructions'])}.</p>"


def _round(measured: Mapping[str, Any]) -> Iterator[str]:
    threads, limits = measured["threads"], measured["limits"]
    yield f"<h2>{threads} thread{'s' * (threads > 1)}</h2>"
    rates = ", ".join(f"{level} {rate / 1e9:.0f}" for level, rate in limits["bandwidth"].items())
    place = ", ".join(f"{level} {rate / 1e9:.0f}" for level, rate in limits["in_place"].items())
    yield (
        f"<p>Limits measured in this run: products {limits['sgemm'] / 1e9:.0f} GFLOP/s, multiply-adds in registers "
        f"{limits['multiply_add'] / 1e9:.0f} GFLOP/s; GB/s to other memory {rates}; in place {place}.</p>"
    )
    yield "<h3>Against the best peer</h3>"
    yield _ratios(measured["verdicts"])
    yield "<h3>Time over size</h3>"
    yield figures.time_over_size(measured["kernels"], limits["capacity"])
    yield "<h3>Rooflines</h3>"
    yield figures.roofline(measured["kernels"], measured["workloads"], limits)
    yield "<h3>Who took part</h3>"
    yield _contenders(measured["contenders"])


def _ratios(verdicts: Sequence[Mapping[str, Any]]) -> str:
    heading = (
        "task",
        "backend",
        "time",
        "best peer",
        "its time",
        "times as fast",
        "quartiles",
        "of limit",
        "target",
    )
    rows = [
        (
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
        for row in verdicts
    ]
    return table(heading, rows)


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
    return table(("contender", "versions", "BLAS kernels in use, threads", "loaded in"), rows)


def _scaling(found: Mapping[str, Any]) -> Iterator[str]:
    yield "<h2>Cost as work grows</h2>"
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
    yield table(("backend", "examples", "per epoch", "per example", "memory in use", "memory required"), rows)
    first = [
        (backend, seconds(times["after_install"]), seconds(times["later"]))
        for backend, times in found["first_fit"].items()
    ]
    yield table(("backend", "first fit after install", "first fit of later processes"), first)
    yield f"<p><code>import nnx</code>: {seconds(found['import'])}</p>"


def table(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return an HTML table; cells are escaped, and verdicts coloured."""

    def cell(text: str) -> str:
        mark = f' class="{text}"' if text in ("met", "missed") else ""
        return f"<td{mark}>{html.escape(text)}</td>"

    head = "".join(f"<th>{html.escape(name)}</th>" for name in heading)
    body = "\n".join(f"<tr>{''.join(map(cell, row))}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table>"
