"""From results to the lines of a table: median and range over the seeds, beside what was published."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from nnx.experiments.experiment import Experiment, Quantity, Results, Row

Verdict: TypeAlias = Literal["within", "exceeded", "not reached", "outside", ""]
"""How a published value stands to the range over the seeds: in it; every seed is better; no seed is as good; beside
it, where there is no better or worse; or nothing was published."""


@dataclass(frozen=True)
class Cell:
    """One quantity of one row, over all seeds, in its own scale.

    Attributes:
        quantity: what it is.
        median, low, high: over the seeds.
        published: what was published, or None.
        verdict: how that stands to the range, all of them rounded as they are shown.
    """

    quantity: Quantity
    median: float
    low: float
    high: float
    published: float | None
    verdict: Verdict


@dataclass(frozen=True)
class Line:
    """One row of the table: its name, and a cell for each quantity that it measured."""

    name: str
    cells: tuple[Cell, ...]


def summarise(experiment: Experiment, results: Results) -> tuple[Line, ...]:
    """Return a line for every row that has results."""
    return tuple(
        Line(row.name, tuple(_cells(experiment.quantities, row, results)))
        for row in experiment.rows
        if results.get(row.name)
    )


def _cells(quantities: Sequence[Quantity], row: Row, results: Results) -> list[Cell]:
    cells = []
    for quantity in quantities:
        values = [result.figures[quantity.name] for result in results[row.name] if quantity.name in result.figures]
        if values:
            published = row.published.get(quantity.name)
            verdict = judge(quantity, min(values), max(values), published)
            cells.append(Cell(quantity, statistics.median(values), min(values), max(values), published, verdict))
    return cells


def judge(quantity: Quantity, low: float, high: float, published: float | None) -> Verdict:
    """Return how a published value stands to the range from low to high."""
    if published is None:
        return ""
    target = quantity.rounded(published)
    least, most = quantity.rounded(low), quantity.rounded(high)
    if least <= target <= most:
        return "within"
    if not quantity.better:
        return "outside"
    return "exceeded" if (target < least) == (quantity.better == "high") else "not reached"
