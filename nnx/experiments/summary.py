"""From results to the lines of a table: median and range over the seeds, beside what was published."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from nnx.experiments.experiment import Experiment, Quantity, Results, Row

Verdict: TypeAlias = Literal["within", "better", "not reached", "outside", ""]
"""How a published value stands to the range over the seeds: in it; every seed is better; no seed is as good; beside
it, where there is no better or worse; or nothing was published, or nothing that can be judged here."""


@dataclass(frozen=True)
class Cell:
    """One quantity of one row, over all seeds, in its own scale.

    Attributes:
        quantity: what it is.
        values: what was measured, in the order of the seeds, at least one. A seed that did not measure it has none.
        runs: how many seeds were run.
        median, low, high: over those values that are numbers; NaN if none is.
        published: what was published, or None.
        verdict: how that stands to the range, all of them rounded as they are shown.
    """

    quantity: Quantity
    values: tuple[float, ...]
    runs: int
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

    def cell(self, quantity: Quantity) -> Cell | None:
        """Return the cell of a quantity; None if this row did not measure it."""
        return next((cell for cell in self.cells if cell.quantity == quantity), None)


def summarise(experiment: Experiment, results: Results) -> tuple[Line, ...]:
    """Return a line for every row that has results."""
    return tuple(
        Line(row.name, tuple(_cells(experiment.quantities, row, results)))
        for row in experiment.rows
        if results.get(row.name)
    )


def _cells(quantities: Sequence[Quantity], row: Row, results: Results) -> Iterator[Cell]:
    runs = results[row.name]
    for quantity in quantities:
        # plain floats, since those of NumPy round 0.145 and its like otherwise than they are written
        values = tuple(float(run.figures[quantity.name]) for run in runs if quantity.name in run.figures)
        if values:
            yield _cell(quantity, values, len(runs), row.published.get(quantity.name))


def _cell(quantity: Quantity, values: tuple[float, ...], runs: int, published: float | None) -> Cell:
    numbers = [value for value in values if not math.isnan(value)] or [math.nan]
    low, high = min(numbers), max(numbers)
    verdict = judge(quantity, low, high, published)
    return Cell(quantity, values, runs, statistics.median(numbers), low, high, published, verdict)


def judge(quantity: Quantity, low: float, high: float, published: float | None) -> Verdict:
    """Return how a published value stands to the range from low to high; no seed reaches it if these are NaN."""
    if published is None or not quantity.comparable:
        return ""
    target = quantity.rounded(float(published))
    least, most = quantity.rounded(float(low)), quantity.rounded(float(high))
    if least <= target <= most:
        return "within"
    if not quantity.better:
        return "outside"
    better = least > target if quantity.better == "high" else most < target
    return "better" if better else "not reached"


def shown(cell: Cell) -> str:
    """Write what was measured as people read it: "98.09 % (97.61 to 99.04 %)"."""
    median, spread, counted = parts(cell)
    return ", ".join(filter(None, (f"{median} {spread}".rstrip(), counted)))


def parts(cell: Cell) -> tuple[str, str, str]:
    """Return median, range (empty if its ends look alike), and how many seeds have a value (empty if all)."""
    if math.isnan(cell.median):
        return "not a number", "", ""
    quantity = cell.quantity
    median, low, high = map(quantity.show, (cell.median, cell.low, cell.high))
    spread = "" if low == median == high else f"({low.removesuffix(quantity.unit)} to {high})"
    count = sum(not math.isnan(value) for value in cell.values)
    return median, spread, "" if count == cell.runs else f"{count} of {cell.runs} seeds"
