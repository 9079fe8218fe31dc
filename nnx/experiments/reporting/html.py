"""A report as one HTML page that needs nothing else: no network, no script, the pictures inside."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Sequence
from html import escape

from nnx.experiments.experiment import Picture, Quantity
from nnx.experiments.reporting.provenance import shown as provenance_shown
from nnx.experiments.reporting.report import VERDICTS, Report, file_name, references
from nnx.experiments.reporting.style import STYLE
from nnx.experiments.summary import Cell, Line, parts

_PIXELS_PER_INCH = 96
"""Of what a page calls a pixel."""


def page(report: Report) -> str:
    """Return the page."""
    title = escape(report.experiment.title)
    head = (
        '<meta charset="utf-8">\n<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta name="color-scheme" content="light dark">\n<title>{title}</title>\n<style>{STYLE}</style>'
    )
    body = "\n".join(_parts(report))
    return f'<!doctype html>\n<html lang="en">\n<head>\n{head}\n</head>\n<body>\n{body}\n</body>\n</html>\n'


def _parts(report: Report) -> Iterator[str]:
    experiment, made_by = report.experiment, report.provenance
    yield f"<header>\n<p class='kind'>nnx experiment <b>{escape(experiment.name)}</b></p>"
    yield f"<h1>{escape(experiment.title)}</h1>\n{_paragraph(experiment.question)}\n</header>"
    yield f"<h2>What was published</h2>\n{_paragraph(experiment.source)}{_links(report)}"
    yield f"<h2>What was measured</h2>\n{_results(report)}\n{_paragraph(report.legend, 'small')}"
    if report.notes:
        yield f"<h2>What it means</h2>\n<ul>{''.join(f'<li>{escape(note)}</li>' for note in report.notes)}</ul>"
    yield from (_figure(picture, report.images[file_name(picture)]) for picture in report.pictures)
    yield f"<h2>Settings</h2>\n{_pairs(experiment.settings.items())}"
    yield f"<h2>How this report was made</h2>\n<pre><code>{escape(made_by['command'])}</code></pre>"
    yield _pairs(provenance_shown(made_by))


def _links(report: Report) -> str:
    """Return where to read more, each address spelled out for those who print the page."""
    lines = [
        f'<li>{escape(what)}: <a href="{escape(address)}">{escape(address)}</a></li>'
        for what, address in references(report.experiment)
    ]
    return f"\n<ul>{''.join(lines)}</ul>" if lines else ""


def _paragraph(text: str, kind: str = "") -> str:
    mark = f' class="{kind}"' if kind else ""
    return f"<p{mark}>{escape(text)}</p>"


def _results(report: Report) -> str:
    quantities = report.experiment.quantities
    heading = "".join(f'<th scope="col">{escape(quantity.name)}</th>' for quantity in quantities)
    rows = "\n".join(_row(line, quantities) for line in report.lines)
    return _scrolling(
        f'<table class="results"><thead><tr><td></td>{heading}</tr></thead>\n<tbody>\n{rows}\n</tbody></table>',
        "Results",
    )


def _row(line: Line, quantities: Sequence[Quantity]) -> str:
    cells = "".join(_cell(line.cell(quantity)) for quantity in quantities)
    name = " ".join(f"<span>{escape(word)}</span>" for word in line.name.split())  # broken between words only
    return f'<tr><th scope="row">{name}</th>{cells}</tr>'


def _cell(cell: Cell | None) -> str:
    if cell is None:
        return "<td></td>"
    median, *more = parts(cell)
    text = f"<b>{escape(median)}</b>" + "".join(f"<span>{escape(part)}</span>" for part in more if part)
    if cell.published is not None:
        text += f"<small>{_published(cell, cell.published)}</small>"
    return f"<td>{text}</td>"


def _published(cell: Cell, value: float) -> str:
    published = f"published {escape(cell.quantity.show(value))}"
    if not cell.verdict:
        return published
    kind, verdict = cell.verdict.replace(" ", "-"), VERDICTS[cell.verdict]
    return f'{published}: <i class="{kind}">{verdict}</i>'


def _pairs(rows: Iterable[tuple[str, str]]) -> str:
    body = "\n".join(f'<tr><th scope="row">{escape(name)}</th><td>{escape(text)}</td></tr>' for name, text in rows)
    return f'<table class="pairs"><tbody>\n{body}\n</tbody></table>'


def _scrolling(table: str, name: str) -> str:
    """Return a table that scrolls sideways where it is wider than the screen, by keyboard too."""
    return f'<div class="scrolling" role="region" aria-label="{name}" tabindex="0">{table}</div>'


def _figure(picture: Picture, image: bytes) -> str:
    inches = picture.figure.get_size_inches()
    width, height = (round(_PIXELS_PER_INCH * float(side)) for side in inches)
    source = f"data:image/png;base64,{base64.b64encode(image).decode('ascii')}"
    title, caption, about = map(escape, (picture.title, picture.caption, f"about-{picture.name}"))
    return (
        f'<figure>\n<h2>{title}</h2>\n<img src="{source}" width="{width}" height="{height}" alt="{title}" '
        f'aria-describedby="{about}">\n<figcaption id="{about}">{caption}</figcaption>\n</figure>'
    )
