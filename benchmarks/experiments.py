"""The tables of the published experiments in one file, each with the command that made it beside it.

python -m benchmarks.experiments RUNS_DIR... --out benchmarks/results/experiments.md

takes every report.json in the folders and those below. Run it anew to replace the file.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from nnx.errors import FileFormatError, NnxError, StorageError, shown
from nnx.experiments import EXPERIMENTS
from nnx.experiments.reporting.markdown import code, escape, paragraph, table
from nnx.experiments.reporting.provenance import devices, versions
from nnx.experiments.reporting.report import FORMAT
from nnx.experiments.reporting.writing import JSON
from nnx.files import replacing

Stored: TypeAlias = Mapping[str, Any]
"""A report as `nnx.experiments.reporting.report.Report.to_json` describes it."""

_TEXTS = ("command", "backend", "jobs", "threads per job", "made", "processor")
"""Of what made a report, what is text."""

_HEAD = """# The published experiments

Made by `python -m benchmarks.experiments` from the reports of `nnx experiment run`, whose commands stand below the
tables. Each cell is a median over the seeds, with the lowest to the highest in brackets, and below it what was
published."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the reports and write the file.

    Raises:
        FileFormatError: no report was found, one is something else, or two are of the same experiment and backend.
        StorageError: the file cannot be written.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.experiments", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("folders", nargs="+", type=Path, metavar="RUNS_DIR", help="where reports were written to")
    parser.add_argument("--out", required=True, type=Path, help="the Markdown file to write")
    given = parser.parse_args(arguments)
    text = markdown(gather(given.folders))
    try:
        with replacing(given.out) as part:
            part.write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        raise StorageError(f"{str(given.out)!r} cannot be written: {error.strerror or error}.") from error


def gather(folders: Sequence[Path]) -> list[Stored]:
    """Return the reports in these folders and below, in the order of the experiments, then of the backends.

    Raises:
        FileFormatError: there is none in a folder, or one of them is something else, or there twice.
    """
    found: dict[tuple[str, str], tuple[Path, Stored]] = {}
    for path in [path for folder in folders for path in _reports(folder)]:
        stored = read(path)
        key = stored["name"], stored["provenance"]["backend"]
        if key in found and not found[key][0].samefile(path):
            raise FileFormatError(
                f"{str(found[key][0])!r} and {str(path)!r} are both of {key[0]} on {key[1]}; leave one of them out."
            )
        found[key] = path, stored
    order = list(EXPERIMENTS)
    return [found[key][1] for key in sorted(found, key=lambda key: (order.index(key[0]), key))]


def _reports(folder: Path) -> list[Path]:
    paths = sorted(folder.rglob(JSON))
    if not paths:
        raise FileFormatError(
            f"There is no {JSON} in {str(folder)!r}; `nnx experiment run NAME --out {folder}` would write one."
        )
    return paths


def read(path: Path) -> Stored:
    """Read one report.

    Raises:
        FileFormatError: the file holds something else.
    """
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise FileFormatError(f"{str(path)!r} cannot be read as JSON: {error}.") from error
    if not isinstance(stored, dict) or stored.get("format") != FORMAT:
        raise FileFormatError(f"{str(path)!r} holds no {FORMAT!r}; write it anew with `nnx experiment run`.")
    try:
        _check(stored)
        markdown([stored])
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise FileFormatError(
            f"{str(path)!r} is a report with a part missing or broken: {shown(error)}."
        ) from error
    if stored["name"] not in EXPERIMENTS:
        raise FileFormatError(
            f"{str(path)!r} is a report of {shown(stored['name'])}, an experiment that nnx has not."
        )
    return stored


def _check(stored: Stored) -> None:
    """Make sure that everything is of its kind: what is not written as it should be may still be writable.

    Raises:
        KeyError, TypeError: a part is missing, or of another kind.
    """
    made_by = stored["provenance"]
    texts = [stored[name] for name in ("name", "title", "legend")] + [made_by[name] for name in _TEXTS]
    lists = [stored[name] for name in ("quantities", "rows", "notes")]
    texts += [*stored["quantities"], *stored["notes"], *(row["name"] for row in stored["rows"])]
    wrong = [part for part in texts if not isinstance(part, str)] + [
        part for part in lists if not isinstance(part, list)
    ]
    if wrong or not isinstance(made_by["seeds"], int):
        raise TypeError(f"{wrong or made_by['seeds']} is of another kind")


def markdown(reports: Sequence[Stored]) -> str:
    """Return the file: a heading per experiment, and a table, a command and a machine per backend."""
    parts, last = [_HEAD], ""
    for stored in reports:
        if stored["name"] != last:
            parts += [f"## {escape(stored['name'])}", paragraph(stored["title"])]
            last = stored["name"]
        parts += _section(stored)
    return "\n\n".join(parts) + "\n"


def _section(stored: Stored) -> Iterator[str]:
    made_by = stored["provenance"]
    yield f"### On {escape(made_by['backend'])}"
    yield table(["", *stored["quantities"]], [_row(row, stored["quantities"]) for row in stored["rows"]])
    yield paragraph(stored["legend"])
    if stored["notes"]:
        yield "\n".join(f"- {paragraph(note)}" for note in stored["notes"])
    yield code(made_by["command"])
    yield paragraph(_made(made_by))


def _row(row: Mapping[str, Any], quantities: Sequence[str]) -> list[str]:
    cells = [row["cells"].get(quantity, {"shown": "", "compared": ""}) for quantity in quantities]
    return [row["name"], *(f"{cell['shown']}\n{cell['compared']}".strip() for cell in cells)]


def _made(made_by: Mapping[str, Any]) -> str:
    seeds = made_by["seeds"]
    return (
        f"Made {made_by['made']}; {seeds} seed{'s' * (seeds != 1)}, {made_by['jobs']} at a time, threads for each: "
        f"{made_by['threads per job']}; {made_by['processor']}, {made_by['cores']} cores; {devices(made_by)}; "
        f"{versions(made_by)}."
    )


if __name__ == "__main__":
    try:
        main()
    except NnxError as error:
        sys.exit(f"error: {error}")
