"""The table of the README, from results: python -m benchmarks.table [RESULTS.json].

Rewrites what stands between the two markers, and nothing else.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks import results
from benchmarks.environment import ROOT
from benchmarks.workloads import WORKLOADS
from nnx.errors import FileFormatError

STORED = results.FOLDER / "cpu-quick.json"
"""What the table is made of, unless other results are named: both thread counts."""

BEGIN, END = "<!-- speed: begin -->", "<!-- speed: end -->"


def seconds(value: float) -> str:
    """Write a time with three digits and the unit that suits it."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value / 1e-9:.3g} ns"


def rows(found: Mapping[str, Any]) -> list[list[str]]:
    """Return heading and rows: each workload, per thread count and backend, against the best peer."""
    heading = ["Workload", "Threads", "Backend", "Time", "Best peer", "Its time", "Times as fast (quartiles)"]
    body = [
        [
            row["task"],
            str(row["threads"]),
            row["ours"].partition(":")[2],
            f"{seconds(row['seconds'])} per {row['per']}",
            row["against"],
            seconds(row["against_seconds"]),
            f"**{row['ratio']:.2f}** ({row['low']:.2f} to {row['high']:.2f})",
        ]
        for name in WORKLOADS
        for measured in found["rounds"]
        for row in measured["verdicts"]
        if row["task"] == name and not row["disputed"]
    ]
    return [heading, *body]


def markdown(found: Mapping[str, Any]) -> str:
    """Return the table, and on which machine it was measured with which versions."""
    heading, *body = rows(found)
    lines = [heading, ["---"] * len(heading), *body]
    table = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    machine = found["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    where = f"{machine['processor']}, {machine['cores']} cores, {', '.join(machine['instructions'])}"
    return f"{table}\n\nMeasured on {where}; Python {machine['python']}, {versions}."


def replaced(text: str, table: str) -> str:
    """Return the text with the table between the markers.

    Raises:
        FileFormatError: the markers are not there, once each and in order.
    """
    head, begin, rest = text.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end or BEGIN in rest or END in tail:
        raise FileFormatError(f"The text must hold {BEGIN!r} and then {END!r}, once each.")
    return f"{head}{BEGIN}\n{table}\n{END}{tail}"


def rewrite(readme: Path, path: Path) -> None:
    """Rewrite the table of a README from results."""
    text = readme.read_text(encoding="utf-8")
    readme.write_text(replaced(text, markdown(results.read(path))), encoding="utf-8")


if __name__ == "__main__":
    try:
        rewrite(ROOT / "README.md", Path(sys.argv[1]) if sys.argv[1:] else STORED)
    except FileFormatError as error:
        sys.exit(f"error: {error}\nusage: {__doc__}")
