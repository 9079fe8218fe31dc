"""What was measured, as tables and pictures of a page, made of the stored results when the site is built.

The picture of time over size shows a kernel of each family: the report of `nnx bench --report` has them all.
"""

from __future__ import annotations

import logging
import re
import sys
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT)]  # for `benchmarks`, which is not installed

from benchmarks import figures, results, table  # noqa: E402
from benchmarks.workloads import WORKLOADS  # noqa: E402

STORED = ROOT / "benchmarks/results"
SHOWN = ("matmul", "linear", "tanh", "softmax_cross_entropy", "batch_norm", "dropout", "adam", "take_rows")
"""The kernels whose time is drawn over their size."""

_UNIT = re.compile(r"(?<=\d) (?=(?:s|ms|us|ns|MB)\b)")
"""The space between a number and its unit, which no line may end at."""


def networks() -> str:
    """Return the table of networks, as in the README."""
    return table.markdown(results.read(table.STORED))


def verdicts(found: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return what kernels took beside their best peer, without those of which somebody computes something else."""
    every = [row for measured in found["rounds"] for row in measured["verdicts"]]
    return [row for row in every if row["task"] not in WORKLOADS and not row["disputed"]]


def kernels(found: Mapping[str, Any]) -> str:
    """Return the table of kernels."""
    heading = ["Kernel", "Backend", "Time", "Best peer", "Its time", "Times as fast (quartiles)", "Of the limit"]
    body = [
        [
            row["task"],
            row["ours"].partition(":")[2],
            table.seconds(row["seconds"]),
            row["against"],
            table.seconds(row["against_seconds"]),
            f"**{row['ratio']:.2f}** ({row['low']:.2f} to {row['high']:.2f})",
            "" if row["share"] is None else f"{row['share']:.0%}",
        ]
        for row in verdicts(found)
    ]
    return _table(heading, body)


def growth(found: Mapping[str, Any]) -> str:
    """Return the table of time and memory over the number of examples."""
    heading = ["Backend", "Examples", "Per epoch", "Per example", "Memory in use", "Memory required"]
    body = [
        [
            backend,
            f"{row['examples']:,}",
            table.seconds(row["seconds"]),
            table.seconds(row["seconds"] / row["examples"]),
            f"{row['bytes'] / 1e6:.1f} MB",
            f"{row['required'] / 1e6:.1f} MB",
        ]
        for backend, measured in found["scaling"]["epochs"].items()
        for row in measured["rows"]
    ]
    return _table(heading, body)


def limits(found: Mapping[str, Any]) -> str:
    """Return what the machine could do, in words."""
    limit = found["rounds"][0]["limits"]
    moved = ", ".join(f"{level} {rate / 1e9:.0f}" for level, rate in limit["bandwidth"].items())
    place = ", ".join(f"{level} {rate / 1e9:.0f}" for level, rate in limit["in_place"].items())
    threads = found["rounds"][0]["threads"]
    where = f"On {found['machine']['processor']}, {threads} thread{'s' * (threads > 1)}"
    products, registers = limit["sgemm"] / 1e9, limit["multiply_add"] / 1e9
    return (
        f"{where}: products {products:.0f} GFLOP/s, multiply-adds in registers {registers:.0f} GFLOP/s; "
        f"GB/s to other memory {moved}; in place {place}."
    )


def _table(heading: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in (heading, ["---"] * len(heading), *body))


def ratios(found: Mapping[str, Any]) -> str:
    """Draw how many times as fast as the best peer each kernel is, with quartiles, as SVG."""
    from matplotlib.figure import Figure

    rows = verdicts(found)
    tasks, backends = list(dict.fromkeys(row["task"] for row in rows)), sorted({row["ours"] for row in rows})
    figure = Figure(figsize=(7, 1 + 0.24 * len(tasks)), layout="constrained")
    axes = figure.add_subplot()
    for number, ours in enumerate(backends):
        shift, name = 0.2 * (number - (len(backends) - 1) / 2), ours.partition(":")[2]
        mine = [row for row in rows if row["ours"] == ours]
        shade = figures.colour(name, [one.partition(":")[2] for one in backends])
        _draw_ratios(axes, mine, [tasks.index(row["task"]) + shift for row in mine], color=shade, label=name)
    axes.axvline(1, color="black", lw=0.8)
    axes.set(xscale="log", ylim=(len(tasks) - 0.5, -0.5), xlabel="times as fast as the best peer")
    axes.set_yticks(range(len(tasks)), tasks, fontsize=8)
    axes.set_xticks([0.1, 0.2, 0.5, 1, 2, 5, 10], ["0.1", "0.2", "0.5", "1", "2", "5", "10"])
    axes.grid(axis="x", lw=0.4, color="#dddddd")
    axes.legend(loc="lower right")
    return figures.svg(figure, "ratios")


def _draw_ratios(axes: Any, rows: Sequence[Mapping[str, Any]], places: Sequence[float], **style: str) -> None:
    """Draw the ratios of one backend, with their quartiles as bars."""
    middle = [row["ratio"] for row in rows]
    reach = [[row["ratio"] - row["low"] for row in rows], [row["high"] - row["ratio"] for row in rows]]
    axes.errorbar(middle, places, xerr=reach, fmt="o", ms=4, lw=1.2, **style)


def pictures(found: Mapping[str, Any]) -> dict[str, str]:
    """Return the pictures, by file name; those of sizes and rooflines are the report's."""
    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)  # the reader's fonts: any will do here
    measured = found["rounds"][0]
    rows = [row for row in measured["kernels"] if row["kernel"] in SHOWN]
    return {
        "ratios.svg": ratios(found),
        "sizes.svg": figures.time_over_size(rows, measured["limits"]["capacity"], columns=2),
        "roofline.svg": figures.roofline(measured["kernels"], measured["workloads"], measured["limits"], columns=2),
    }


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pictures."""
    for name, svg in pictures(results.read(STORED / "cpu.json")).items():
        files.append(File.generated(config, f"results/drawn/{name}", content=svg))
    return files


def on_page_markdown(markdown: str, **_: object) -> str:
    """Put tables where a page asks for them."""
    if "<!-- results: " not in markdown:
        return markdown
    found = results.read(STORED / "cpu.json")
    made = {"networks": networks(), "kernels": kernels(found), "growth": growth(found), "limits": limits(found)}

    def replace(mark: re.Match[str]) -> str:
        return textwrap.indent(_UNIT.sub("\u00a0", made[mark[2]]), mark[1])

    return re.sub(r"^( *)<!-- results: (\w+) -->$", replace, markdown, flags=re.MULTILINE)
