"""The page of a report, from the files that it is made of."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from pathlib import Path

from nnx.errors import NnxError, excerpt
from nnx.pages.page import document
from nnx.pages.parts import bullets, paragraph
from nnx.report.finding import Kind, Source
from nnx.report.results import benchmark, experiment
from nnx.report.runs import overview
from nnx.report.runs import section as run
from nnx.report.section import Section
from nnx.version import __version__

_MADE_BY: Mapping[Kind, Callable[[Path], Section]] = {"run": run, "experiment": experiment, "benchmark": benchmark}

_LONGEST = 600
"""Characters of an error."""

Named = Mapping[str, tuple[str, Section]]
"""Title and section, by the name of a link within the page."""


@dataclass(frozen=True)
class Page:
    """A report.

    Attributes:
        sections: what it says of each file, see `Named`.
        left_out: why other files are not in it, in sentences that do not name their paths, by these.
    """

    sections: Named
    left_out: Mapping[Path, str]

    def html(self) -> str:
        """Return the page as one HTML file."""
        return document("nnx report", "\n".join(_parts(self)))


def make(sources: Sequence[Source]) -> Page:
    """Read the files and return what is to be said of them; those that cannot be read are left out."""
    sections: dict[str, tuple[str, Section]] = {}
    left_out: dict[Path, str] = {}
    for number, source in enumerate(sources, start=1):
        try:
            sections[f"part-{number}"] = _title(source.path), _MADE_BY[source.kind](source.path)
        except (NnxError, OSError) as error:
            left_out[source.path] = excerpt(_reason(source.path, error), _LONGEST)
    return Page(sections, left_out)


def _reason(path: Path, error: Exception) -> str:
    """Return what is wrong with a file, not where it lies: whoever shows this names the file in their way."""
    reason, title = (isinstance(error, OSError) and error.strerror) or str(error), _title(path)
    for place in (path.resolve(), path):
        reason = reason.replace(str(place), title)
    for naming, rest in ((f"{title}: ", ""), (f"{path.name}: ", ""), (f"{title!r} ", "it ")):
        if reason.startswith(naming):
            return rest + reason[len(naming) :]
    return reason


def _title(path: Path) -> str:
    """Return the path of a file; of one elsewhere the last parts alone, as the rest tells whose machine it is."""
    return "/".join(path.parts[-2:]) if path.is_absolute() or ".." in path.parts else path.as_posix()


def _parts(page: Page) -> Iterator[str]:
    made = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, nnx {__version__}"
    yield f"<header>\n<p class='kind'>{escape(made)}</p>\n<h1>nnx report</h1>\n</header>"
    runs = {anchor: held for anchor, held in page.sections.items() if held[1].figures}
    if runs:
        yield overview(runs)
    others = {anchor: held for anchor, held in page.sections.items() if anchor not in runs}
    if others:
        links = (f'<li><a href="#{anchor}">{escape(title)}</a></li>' for anchor, (title, _) in others.items())
        yield f"<ul>{''.join(links)}</ul>"
    if not page.sections:
        yield paragraph("There is nothing to report on yet: train with nnx.callbacks.Checkpoint, for example.")
    if page.left_out:
        reasons = [f"{_title(path)}: {reason}" for path, reason in page.left_out.items()]
        yield f'<h2 class="left-out">Left out</h2>\n{bullets(reasons)}'
    for anchor, (title, section) in page.sections.items():
        heading = f"<p class='kind'>{escape(section.kind)}</p>\n<h2>{escape(title)}</h2>"
        yield f'<section id="{anchor}">\n{heading}\n{section.body}\n</section>'
