"""Docstrings are written for a terminal; here they become Markdown that says the same.

Tables drawn with rulers become tables, indented lines blocks of code, and what begins with a word and a colon
("Shapes: ...", "Source: ...") a paragraph of its own. Signs that Markdown would take for its own are kept.
"""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Iterator

from typeset import latex

_RULER = re.compile(r"^=+(  +=+)+$")
_SECTION = re.compile(r"^([A-Z][a-z]+):$")
_LABEL = re.compile(r"^([A-Z][a-z]+):(?= [^ ])")
_LATER = re.compile(r"(?<=[.;]) (?=(?:Shapes|Attributes|Source|Letters): )")
_ITEM = re.compile(r"^(\s*)([*-]) ")
_SEVERAL = re.compile(r"^    \w+(?:, \w+)+(?=:)")
_STARRED = re.compile(r"^\s*\*{1,2}\w+:")
_CODE = re.compile(r"(`[^`]*`)")
_SHELL = ("mpiexec ", "nnx ", "python ", "pytest ")

Piece = tuple[str, list[str]]
"""What a run of lines is ("text", "table", "code", "formulas" or a section's name), and the lines."""


def markdown(text: str, indented: str = "code") -> str:
    """Return a docstring, without its indentation, as Markdown with sections as mkdocstrings reads them.

    What is indented is code, or formulas where `indented` says so.
    """
    summary, *rest = text.splitlines() or [""]
    pieces = [(indented if kind == "code" else kind, lines) for kind, lines in _pieces(rest)]
    written = [line for kind, lines in pieces for line in _written(kind, lines)]
    first, *labelled = _LATER.split(summary)
    return "\n".join([_escaped(first), *(line for part in labelled for line in _paragraphs([part])), *written])


def _pieces(lines: list[str]) -> Iterator[Piece]:
    at = 0
    while at < len(lines):
        kind, end = _kind_at(lines, at)
        yield kind, lines[at:end]
        at = end


def _kind_at(lines: list[str], at: int) -> tuple[str, int]:
    """Return what begins at a line, and where it ends."""
    line, below = lines[at], lines[at + 1] if at + 1 < len(lines) else ""
    if _RULER.match(line):
        rulers = [number for number in range(at, len(lines)) if _RULER.match(lines[number])]
        return "table", rulers[2] + 1
    section = _SECTION.match(line)
    if section and below.startswith("    "):
        return section[1], _dedent(lines, at + 1)
    if line.startswith("    ") and at and not lines[at - 1]:
        return "code", _dedent(lines, at)
    return "text", next((n for n in range(at + 1, len(lines)) if _begins_anew(lines, n)), len(lines))


def _begins_anew(lines: list[str], at: int) -> bool:
    """Tell whether a line cannot belong to the paragraph above it."""
    return bool(_RULER.match(lines[at]) or _SECTION.match(lines[at])) or not lines[at] or not lines[at - 1]


def _dedent(lines: list[str], at: int) -> int:
    """Return where the indented lines end; blank lines among them belong to them, those behind them do not."""
    end = at
    for number in range(at, len(lines)):
        if lines[number] and not lines[number].startswith(" "):
            break
        if lines[number]:
            end = number + 1
    return end


def _written(kind: str, lines: list[str]) -> list[str]:
    if kind == "table":
        return ["", *_table(lines), ""]
    if kind == "code":
        return ["", *_fenced(lines), ""]
    if kind == "formulas":
        return [line for formula in lines for line in ("", "$$", latex(formula), "$$", "")]
    if kind == "Examples":
        return ["", *lines, ""]
    if kind == "Raises":
        return ["", "**Raises:**", "", *_raised(lines[1:]), ""]
    if kind == "Attributes":
        lines = [_SEVERAL.sub(lambda names: names[0].replace(", ", ",\u00a0"), line) for line in lines]
    if kind == "text":
        return _paragraphs(lines)
    return ["", lines[0], *(_escaped(line) for line in lines[1:]), ""]


def _raised(lines: list[str]) -> list[str]:
    """Return the errors of a section as a list; several with one reason are one item."""
    written = []
    for line in lines:
        names, colon, reason = line.partition(": ")
        if colon and not line.startswith("     "):
            listed = ", ".join(f"`{name.strip()}`" for name in names.split(","))
            written.append(f"- {listed}: {_escaped(reason)}")
        else:
            written.append(_escaped(line))
    return written


def _table(lines: list[str]) -> list[str]:
    starts = [found.start() for found in re.finditer("=+", lines[0])]
    spans = [slice(*span) for span in zip(starts, [*starts[1:], None], strict=True)]
    heading, *body = [[row[span].strip() for span in spans] for row in lines if not _RULER.match(row)]
    cells = [[_cell(*cell) for cell in zip(row, heading, strict=True)] for row in body]
    return [f"| {' | '.join(row)} |" for row in (heading, ["---"] * len(spans), *cells)]


def _cell(text: str, heading: str) -> str:
    """Return a cell; one below the heading of a function is a formula, and perhaps words behind a comma."""
    if not text or heading != "f(x)":
        return _escaped(text).replace("|", "\\|")
    formula, comma, words = text.partition(", ") if text.startswith("x ") else (text, "", "")
    return f"${latex(formula)}${comma}{words}"


def _fenced(lines: list[str]) -> list[str]:
    code = textwrap.dedent("\n".join(lines))
    return [f"```{_language(code)}", *code.splitlines(), "```"]


def _language(code: str) -> str:
    if code.startswith(_SHELL):
        return "sh"
    if code.startswith(">>>"):
        return "pycon"
    try:
        ast.parse(code)
    except SyntaxError:
        return "text"
    return "python"


def _paragraphs(lines: list[str]) -> list[str]:
    """Return lines, broken where a label begins a sentence, each label in bold behind an empty line."""
    written: list[str] = []
    for part in (part for line in lines for part in _LATER.split(line)):
        label = _LABEL.match(part)
        if label and (not written or written[-1].endswith((".", ":", ";"))):
            written += ["", f"**{label[1]}:**{_escaped(part[label.end() :])}"]
        else:
            written.append(_escaped(part))
    return written


def _escaped(line: str) -> str:
    """Return a line in which stars and angles mean themselves, save in code and at the start of an item."""
    item = _ITEM.match(line) or _STARRED.match(line)
    start = item.end() if item else 0
    parts = _CODE.split(line[start:])
    plain = [part if part.startswith("`") else part.replace("*", "\\*").replace("<", "&lt;") for part in parts]
    return line[:start] + "".join(plain)
