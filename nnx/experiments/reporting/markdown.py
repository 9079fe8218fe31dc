"""A report as GitHub Markdown; its pictures lie beside it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from nnx.experiments.experiment import Picture
from nnx.experiments.reporting.provenance import shown as provenance_shown
from nnx.experiments.reporting.report import Report, compared, file_name, references
from nnx.experiments.summary import Cell, shown

_SPECIAL = re.compile(r"([\\`*\[\]|~$]|(?<![^\W_])_|_(?![^\W_]))")
"""What means something within a line. Between letters, an underscore does not, and addresses have some there."""

_STARTS = re.compile(r"^(\d+(?=[.)](?:\s|$))|(?=[-+=#]))")
"""What begins a list or a heading, or underlines one, if it begins a paragraph."""


def text(report: Report) -> str:
    """Return the text."""
    return "\n\n".join(_parts(report)) + "\n"


def _parts(report: Report) -> Iterator[str]:
    experiment, made_by = report.experiment, report.provenance
    yield f"# {escape(experiment.title)}"
    yield paragraph(experiment.question)
    yield f"## What was published\n\n{paragraph(experiment.source)}"
    if links := references(experiment):
        yield "\n".join(f"- {paragraph(what)}: <{address}>" for what, address in links)
    yield f"## What was measured\n\n{_results(report)}\n\n{paragraph(report.legend)}"
    if report.notes:
        yield "## What it means"
        yield "\n".join(f"- {paragraph(note)}" for note in report.notes)
    yield from map(_picture, report.pictures)
    yield f"## Settings\n\n{table(('setting', 'value'), experiment.settings.items())}"
    yield f"## How this report was made\n\n{code(made_by['command'])}"
    yield table(("what", "value"), provenance_shown(made_by))


def _results(report: Report) -> str:
    quantities = report.experiment.quantities
    rows = [[line.name, *(both(line.cell(quantity)) for quantity in quantities)] for line in report.lines]
    return table(["", *(quantity.name for quantity in quantities)], rows)


def _picture(picture: Picture) -> str:
    title = escape(picture.title)
    return f"## {title}\n\n![{title}]({file_name(picture)})\n\n{paragraph(picture.caption)}"


def both(cell: Cell | None) -> str:
    """Return what was measured and, on a second line, what was published; nothing of what was not measured."""
    return "\n".join(filter(None, (shown(cell), compared(cell)))) if cell else ""


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; a line's end within a cell remains one."""
    lines = [headings, ["---"] * len(headings), *rows]
    cells = ([_in_cell(text) for text in line] for line in lines)
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


def _in_cell(text: str) -> str:
    return text if text == "---" else "<br>".join(map(escape, text.splitlines()))


def code(command: str) -> str:
    """Return a command as a block, within a fence longer than any row of backticks in it."""
    longest = max(map(len, re.findall("`+", command)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}sh\n{command}\n{fence}"


def paragraph(text: str) -> str:
    """Return text as one paragraph in which nothing is taken for Markdown or HTML."""
    return _STARTS.sub(r"\1\\", escape(text))


def escape(text: str) -> str:
    """Return text as a part of a line in which nothing is taken for Markdown or HTML."""
    line = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _SPECIAL.sub(r"\\\1", line)
