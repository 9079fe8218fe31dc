"""What a report holds, in memory and as JSON; `html` and `markdown` write it down."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from nnx.datasets import info
from nnx.experiments.experiment import Experiment, Picture, Results
from nnx.experiments.summary import Cell, Line, Verdict, shown, summarise

FORMAT = "nnx experiment report 2"
"""What `report.json` begins with."""

DOTS_PER_INCH = 192
"""Of the pictures: two for each pixel that a page counts, as screens of high density have them."""

VERDICTS: dict[Verdict, str] = {
    "within": "within the range",
    "better": "better here",
    "not reached": "not reached",
    "outside": "outside the range",
}
"""What people read of a verdict."""

_MEANINGS: dict[Verdict, str] = {
    "within": "the published value lies between the lowest and the highest",
    "better": "every seed is better than the published value",
    "not reached": "no seed is as good as the published value",
    "outside": "the published value lies below the lowest or above the highest",
}


@dataclass(frozen=True)
class Report:
    """One experiment as it was run here.

    Attributes:
        experiment: what was run.
        lines: the table.
        pictures, notes: what the experiment makes of its results.
        provenance: what made it, by name: the exact command, backend and devices, seeds, machine, versions, dates.
    """

    experiment: Experiment
    lines: tuple[Line, ...]
    pictures: tuple[Picture, ...]
    notes: tuple[str, ...]
    provenance: Mapping[str, Any]

    @cached_property
    def images(self) -> dict[str, bytes]:
        """The pictures as PNG files, by file name, each drawn once."""
        return {file_name(picture): _png(picture) for picture in self.pictures}

    @property
    def legend(self) -> str:
        """What explains the table, in sentences that speak of nothing that it does not show."""
        cells = [cell for line in self.lines for cell in line.cells]
        met = {cell.verdict for cell in cells}
        meanings = [f"{VERDICTS[verdict]}: {_MEANINGS[verdict]}" for verdict in _MEANINGS if verdict in met]
        explained = "; ".join(meanings)
        return " ".join(filter(None, (_spread({cell.runs for cell in cells}), _sentence(explained))))

    def to_json(self) -> dict[str, Any]:
        """Return plain values: the table in numbers and as shown, notes, names of pictures, and provenance."""
        experiment = self.experiment
        return {
            "format": FORMAT,
            "name": experiment.name,
            "title": experiment.title,
            "question": experiment.question,
            "dataset": experiment.dataset,
            "settings": dict(experiment.settings),
            "source": experiment.source,
            "references": [{"what": what, "address": address} for what, address in references(experiment)],
            "quantities": [quantity.name for quantity in experiment.quantities],
            "rows": [{"name": line.name, "cells": _cells(line)} for line in self.lines],
            "legend": self.legend,
            "notes": list(self.notes),
            "pictures": [
                {"file": file_name(picture), "title": picture.title, "caption": picture.caption}
                for picture in self.pictures
            ],
            "provenance": dict(self.provenance),
        }


def make(experiment: Experiment, results: Results, provenance: Mapping[str, Any]) -> Report:
    """Return the report of what was measured.

    Raises:
        NnxError: matplotlib, which draws the pictures, is not installed.
    """
    pictures, notes = tuple(experiment.pictures(results)), tuple(experiment.notes(results))
    return Report(experiment, summarise(experiment, results), pictures, notes, provenance)


def references(experiment: Experiment) -> list[tuple[str, str]]:
    """Return where to read of what was published and of the data: what is found there, and the address."""
    found = list(experiment.links.items())
    if experiment.dataset is None:
        return found
    data = info(experiment.dataset)
    return [*found, (f"The data: {data.title} ({data.publisher})", data.page)]


def file_name(picture: Picture) -> str:
    """Return the name of a picture's file."""
    return f"{picture.name}.png"


def compared(cell: Cell) -> str:
    """Write what was published and how that stands to what was measured, if that can be judged."""
    if cell.published is None:
        return ""
    published = f"published {cell.quantity.show(cell.published)}"
    return f"{published}: {VERDICTS[cell.verdict]}" if cell.verdict else published


def _spread(runs: set[int]) -> str:
    """Return what median and range are over, given how many seeds the cells have."""
    if runs <= {1}:
        return "One seed, no range." if runs else ""
    return f"Median over {runs.pop() if len(runs) == 1 else 'the'} seeds, in brackets the lowest to the highest."


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}." if text else ""


def _png(picture: Picture) -> bytes:
    file = io.BytesIO()
    picture.figure.savefig(file, format="png", dpi=DOTS_PER_INCH, metadata={"Software": None})
    return file.getvalue()


def _cells(line: Line) -> dict[str, dict[str, Any]]:
    return {
        cell.quantity.name: {
            "values": [_number(value) for value in cell.values],
            "median": _number(cell.median),
            "low": _number(cell.low),
            "high": _number(cell.high),
            "published": _number(cell.published),
            "verdict": cell.verdict,
            "shown": shown(cell),
            "compared": compared(cell),
        }
        for cell in line.cells
    }


def _number(value: float | None) -> float | None:
    """Return a number that JSON has: neither NaN nor infinite."""
    return value if value is not None and math.isfinite(value) else None
