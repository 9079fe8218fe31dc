"""A report as one HTML page, made of what its JSON and its pictures hold."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from nnx.errors import FileFormatError
from nnx.experiments.reporting.provenance import shown as provenance_shown
from nnx.experiments.reporting.report import DOTS_PER_INCH, VERDICTS, Report
from nnx.pages.page import document
from nnx.pages.parts import bullets, pairs, paragraph, picture, scrolling

_PIXELS_PER_INCH = 96
"""Of what a page calls a pixel."""

_PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
"""How every PNG begins; width and height follow."""

_SHOWN = re.compile(r"(.*?)(?: (\(.*?\)))?(?:, (\d+ of \d+ seeds))?")
"""Median, range and number of seeds, as `nnx.experiments.summary.shown` writes them."""

_LONGEST = 200  # characters of a cell


def page(report: Report) -> str:
    """Return the page."""
    return document(report.experiment.title, "\n".join(parts(report.to_json(), report.images)))


def parts(
    values: Mapping[str, Any], images: Mapping[str, bytes], level: int = 1, prefix: str = ""
) -> Iterator[str]:
    """Yield the parts of a page, as HTML.

    Args:
        values: what `Report.to_json` gives.
        images: PNG files by name; pictures that are not among them are left out.
        level: of the title among headings, 1 to 5.
        prefix: of the names of places within the page, which tells those of several reports apart.

    Raises:
        KeyError, TypeError, AttributeError, ValueError: `values` are something else.
        FileFormatError: an image is no PNG.
    """
    made_by, name, below = values["provenance"], values["name"], f"h{level + 1}"
    yield f"<header>\n<p class='kind'>nnx experiment <b>{escape(name)}</b></p>"
    yield f"<h{level}>{escape(values['title'])}</h{level}>\n{paragraph(values['question'])}\n</header>"
    yield f"<{below}>What was published</{below}>\n{paragraph(values['source'])}{_links(values)}"
    yield f"<{below}>What was measured</{below}>\n{_results(values)}\n{paragraph(values['legend'], 'small')}"
    if values["notes"]:
        yield f"<{below}>What it means</{below}>\n{bullets(values['notes'])}"
    for told in values["pictures"]:
        if told["file"] in images:
            about = f"about-{prefix}{told['file'].removesuffix('.png')}"
            yield _figure(told["title"], told["caption"], images[told["file"]], about, below)
    yield f"<{below}>Settings</{below}>\n{pairs(values['settings'].items())}"
    yield f"<{below}>How this report was made</{below}>\n<pre><code>{escape(made_by['command'])}</code></pre>"
    yield pairs(provenance_shown(made_by))


def _links(values: Mapping[str, Any]) -> str:
    """Return where to read more, each address spelled out for those who print the page."""
    lines = [f"<li>{escape(told['what'])}: {_link(told['address'])}</li>" for told in values.get("references", ())]
    return f"\n<ul>{''.join(lines)}</ul>" if lines else ""


def _link(address: str) -> str:
    """Return a link, if the address leads to a page: others might run code where they are followed."""
    if not address.startswith(("https://", "http://")):
        return escape(address)
    return f'<a href="{escape(address)}">{escape(address)}</a>'


def _results(values: Mapping[str, Any]) -> str:
    quantities = values["quantities"]
    heading = "".join(f'<th scope="col">{escape(quantity)}</th>' for quantity in quantities)
    rows = "\n".join(
        f"{_row_name(row['name'])}{''.join(_cell(row['cells'].get(quantity)) for quantity in quantities)}</tr>"
        for row in values["rows"]
    )
    return scrolling(
        f'<table class="results"><thead><tr><td></td>{heading}</tr></thead>\n<tbody>\n{rows}\n</tbody></table>',
        "Results",
    )


def _row_name(name: str) -> str:
    words = " ".join(f"<span>{escape(word)}</span>" for word in name.split())  # broken between words only
    return f'<tr><th scope="row">{words}</th>'


def _cell(cell: Mapping[str, Any] | None) -> str:
    if cell is None:
        return "<td></td>"
    found = _SHOWN.fullmatch(cell["shown"][:_LONGEST])
    median, *more = found.groups(default="") if found else (cell["shown"],)
    text = f"<b>{escape(median)}</b>" + "".join(f"<span>{escape(part)}</span>" for part in more if part)
    if cell["compared"]:
        text += f"<small>{_compared(cell['compared'], cell['verdict'])}</small>"
    return f"<td>{text}</td>"


def _compared(compared: str, verdict: str) -> str:
    """Return what was published; the verdict is given its colour."""
    words = {str(known): words for known, words in VERDICTS.items()}.get(verdict)
    if words is None:
        return escape(compared)
    kind = verdict.replace(" ", "-")
    return f'{escape(compared.removesuffix(words))}<i class="{kind}">{words}</i>'


def _figure(title: str, caption: str, image: bytes, about: str, heading: str) -> str:
    marked = picture(image, "png", title, _size(image), f' aria-describedby="{escape(about)}"')
    return (
        f"<figure>\n<{heading}>{escape(title)}</{heading}>\n{marked}\n"
        f'<figcaption id="{escape(about)}">{escape(caption)}</figcaption>\n</figure>'
    )


def _size(image: bytes) -> tuple[int, int]:
    """Return the width and the height of a PNG in the pixels of a page."""
    if not image.startswith(_PNG) or len(image) < len(_PNG) + 8:
        raise FileFormatError("it is no PNG")
    width, height = struct.unpack_from(">II", image, len(_PNG))
    return width * _PIXELS_PER_INCH // DOTS_PER_INCH, height * _PIXELS_PER_INCH // DOTS_PER_INCH
