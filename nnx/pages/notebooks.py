"""Parts of a notebook's page: without a style sheet or colours, which are the notebook's own, light or dark."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from html import escape

from nnx.errors import excerpt

_MOST_ROWS = 100
"""Of a table; a notebook keeps what it shows."""

_LONGEST = 300  # characters of a cell


def table(
    headings: Sequence[str], rows: Iterable[Sequence[str]], numbers: Collection[str] = (), title: str = ""
) -> str:
    """Return a table below a line of text; the columns of `numbers` are aligned to the right."""
    sides = ["right" if heading in numbers else "left" for heading in headings]
    held = list(rows)
    if len(held) > _MOST_ROWS:
        more = len(held) - _MOST_ROWS
        held = [*held[:_MOST_ROWS], (f"and {more} more", *[""] * (len(headings) - 1))]
    head, *body = [
        "".join(_cells(row, sides, kind)) for kind, row in (("th", headings), *(("td", r) for r in held))
    ]
    lines = "\n".join(f"<tr>{line}</tr>" for line in body)
    return f"{text(title)}<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{lines}\n</tbody>\n</table>"


def _cells(row: Sequence[str], sides: Sequence[str], kind: str) -> Iterable[str]:
    for words, side in zip(row, sides, strict=True):
        yield f'<{kind} style="text-align: {side}">{escape(excerpt(words, _LONGEST))}</{kind}>'


def text(words: str) -> str:
    """Return a line of text, or nothing if it is empty."""
    return f"<p>{escape(words)}</p>\n" if words else ""


def side_by_side(pictures: Iterable[str]) -> str:
    """Return pictures beside each other, as far as there is room."""
    boxes = [f'<div style="flex: 1 1 36rem; max-width: 54rem">{picture}</div>' for picture in pictures]
    return (
        f'<div style="display: flex; flex-wrap: wrap; gap: 1rem; margin-top: 1rem">{"".join(boxes)}</div>'
        if boxes
        else ""
    )


FITTING = ' style="max-width: 100%; height: auto"'
"""Attributes of a picture that is not to be wider than its place."""
