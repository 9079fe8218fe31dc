"""Parts of pages, each made of plain text, which is escaped here."""

from __future__ import annotations

import base64
from collections.abc import Collection, Iterable, Sequence
from html import escape


def paragraph(text: str, kind: str = "") -> str:
    """Return a paragraph, of a kind that the style knows."""
    mark = f' class="{kind}"' if kind else ""
    return f"<p{mark}>{escape(text)}</p>"


def bullets(texts: Iterable[str]) -> str:
    """Return a list."""
    return f"<ul>{''.join(f'<li>{escape(text)}</li>' for text in texts)}</ul>"


def pairs(rows: Iterable[tuple[str, str]]) -> str:
    """Return a table of names and what they stand for."""
    body = "\n".join(f'<tr><th scope="row">{escape(name)}</th><td>{escape(text)}</td></tr>' for name, text in rows)
    return f'<table class="pairs"><tbody>\n{body}\n</tbody></table>'


def table(
    headings: Sequence[str],
    rows: Iterable[Sequence[str]],
    name: str,
    numbers: Collection[str] = (),
    marks: Collection[str] = (),
    kind: str = "numbers",
) -> str:
    """Return a table that scrolls where it is wider than the screen.

    Args:
        headings: one per column.
        rows: as many cells each.
        name: what it is called for those who cannot see it.
        numbers: the headings of those columns that are aligned to the right.
        marks: words that, alone in a cell, are shown as the style shows what is called so.
        kind: what the style calls such a table.
    """
    sides = [' class="number"' if heading in numbers else "" for heading in headings]

    def cell(text: str, side: str) -> str:
        return f"<td{f' class={chr(34)}{text}{chr(34)}' if text in marks else side}>{escape(text)}</td>"

    head = "".join(f'<th scope="col"{side}>{escape(text)}</th>' for text, side in zip(headings, sides, strict=True))
    body = "\n".join(f"<tr>{''.join(map(cell, row, sides))}</tr>" for row in rows)
    return scrolling(
        f'<table class="{kind}"><thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table>', name
    )


def scrolling(content: str, name: str) -> str:
    """Return HTML that scrolls sideways where it is wider than the screen, by keyboard too."""
    return f'<div class="scrolling" role="region" aria-label="{escape(name)}" tabindex="0">{content}</div>'


def picture(image: bytes, kind: str, words: str, size: tuple[int, int], more: str = "") -> str:
    """Return a picture that is part of the page, within which no script runs.

    Args:
        image: the contents of a file.
        kind: "png" or "svg+xml".
        words: for those who cannot see it.
        size: width and height in the pixels of a page.
        more: further attributes, as HTML.
    """
    source = f"data:image/{kind};base64,{base64.b64encode(image).decode('ascii')}"
    return f'<img src="{source}" width="{size[0]}" height="{size[1]}" alt="{escape(words)}"{more}>'
