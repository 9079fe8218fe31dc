"""Picking from results: one quantity over the seeds, pairs of runs, the best row, a typical run."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass

from nnx.experiments.experiment import Results
from nnx.experiments.result import Result
from nnx.experiments.training import TEST


@dataclass(frozen=True)
class Run:
    """One run among those of a row.

    Attributes:
        row: its name.
        result: what it measured.
        middle: the median, over all runs of the row, of the quantity that it was picked by.
        among: how many runs the row has.
    """

    row: str
    result: Result
    middle: float
    among: int

    @property
    def seed(self) -> int:
        """Where it began."""
        return self.result.seed


def measured(results: Results, row: str, quantity: str) -> list[float]:
    """Return a quantity of a row, one value per run."""
    return [result.figures[quantity] for result in results[row]]


def median(results: Results, row: str, quantity: str) -> float:
    """Return the median of a quantity of a row over its runs."""
    return statistics.median(measured(results, row, quantity))


def paired(results: Results, rows: Iterable[str], quantity: str) -> dict[int, tuple[float, ...]]:
    """Return a quantity of several rows by seed: of each, one value per row, in the order of the rows.

    Seeds from which a row has no run, because it failed, are left out.
    """
    each = [{run.seed: run.figures[quantity] for run in results[row]} for row in rows]
    common = sorted(set.intersection(*(set(found) for found in each)))
    return {seed: tuple(found[seed] for found in each) for seed in common}


def best_row(results: Results, quantity: str = TEST) -> str:
    """Return the name of the row with the highest median of a quantity; the first of several."""
    return max(results, key=lambda row: median(results, row, quantity))


def typical(row: str, results: Results, quantity: str = TEST) -> Run:
    """Return the run whose quantity is the median of its row; the lower of two, the first of several."""
    values = measured(results, row, quantity)
    place = values.index(statistics.median_low(values))
    return Run(row, results[row][place], statistics.median(values), len(values))
