"""Picking from results: one quantity over the seeds, the best row, a typical run."""

from __future__ import annotations

import statistics
from dataclasses import dataclass

from nnx.experiments.experiment import Results
from nnx.experiments.result import Result
from nnx.experiments.training import TEST


@dataclass(frozen=True)
class Run:
    """One run among those of a row.

    Attributes:
        row: its name.
        seed: where it began.
        result: what it measured.
    """

    row: str
    seed: int
    result: Result


def measured(results: Results, row: str, quantity: str) -> list[float]:
    """Return a quantity of a row, one value per seed."""
    return [result.figures[quantity] for result in results[row]]


def median(results: Results, row: str, quantity: str) -> float:
    """Return the median of a quantity of a row over the seeds."""
    return statistics.median(measured(results, row, quantity))


def best_row(results: Results, quantity: str = TEST) -> str:
    """Return the name of the row with the highest median of a quantity; the first of several."""
    return max(results, key=lambda row: median(results, row, quantity))


def typical(row: str, results: Results, quantity: str = TEST) -> Run:
    """Return the run whose quantity is the median of its row; the lower of two, the first of several."""
    values = measured(results, row, quantity)
    seed = values.index(statistics.median_low(values))
    return Run(row, seed, results[row][seed])
