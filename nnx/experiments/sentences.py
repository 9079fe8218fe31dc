"""What results mean, in sentences computed from them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from numpy.typing import NDArray

from nnx.experiments.choosing import best_row, measured, median
from nnx.experiments.experiment import Quantity, Results, Row
from nnx.experiments.result import Result
from nnx.experiments.summary import Cell, Line, Verdict


def listed(names: Iterable[str]) -> str:
    """Return "a", "a and b", or "a, b and c"."""
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


def percent(share: float) -> str:
    """Write a share as whole percents."""
    return f"{100 * share:.0f} %"


def standing(lines: Sequence[Line]) -> Iterator[str]:
    """Say how the published values stand to the ranges over the seeds; nothing where none were published."""
    judged = [(line.name, cell) for line in lines for cell in line.cells if cell.published is not None]
    if judged:
        within = sum(cell.verdict == "within" for _, cell in judged)
        yield f"Of {len(judged)} published values, of single runs, {within} lie within the range over the seeds."
    yield from _singled_out(judged, "better", "Better than published, whatever the seed")
    yield from _singled_out(judged, "not reached", "Not as good as published, whatever the seed")
    yield from _singled_out(judged, "outside", "Beside the published value, neither better nor worse")


def reached(rows: Sequence[Row], results: Results, quantity: Quantity) -> Iterator[str]:
    """Say how many runs are at least as good as the published one, in a quantity of which more is better."""
    counts = []
    for row in rows:
        if row.name in results and quantity.name in row.published:
            target = quantity.rounded(row.published[quantity.name])
            values = measured(results, row.name, quantity.name)
            count = sum(quantity.rounded(value) >= target for value in values)
            counts.append(f"{count} of {len(values)} of {row.name} ({quantity.show(row.published[quantity.name])})")
    if counts:
        yield f"Runs that reach the published {quantity.name}: {listed(counts)}."


def best(results: Results, quantity: Quantity) -> Iterator[str]:
    """Say which rows have the highest median of a quantity, and what comparing single runs would say instead.

    A quantity of which more is better; nothing is said of a single row.
    """
    leader = best_row(results, quantity.name)
    ours = measured(results, leader, quantity.name)
    shown = quantity.show(median(results, leader, quantity.name))
    if len(results) > 1:
        leaders = listed(row for row in results if quantity.show(median(results, row, quantity.name)) == shown)
        yield f"The highest median {quantity.name}, {shown}, is that of {leaders}."
        shares = {row: _ahead(measured(results, row, quantity.name), ours) for row in results if row != leader}
        losses = listed(f"by {row} in {percent(share)}" for row, share in shares.items())
        yield f"In all pairs of single runs, {leader} is beaten {losses}."


def few_examples(results: Results, quantity: Quantity) -> Iterator[str]:
    """Say how much of an accuracy is chance where test examples are few; runs must hold their confusions.

    Source: the binomial distribution.
    """
    leader = best_row(results, quantity.name)
    count, share = int(_answers(results[leader][0]).sum()), median(results, leader, quantity.name)
    deviation = math.sqrt(share * (1 - share) / count)
    yield (
        f"Ranges of the {quantity.name} are wide because one of the {count} test examples makes "
        f"{quantity.show(1 / count)}. Which {count} were taken is chance too: a network that is right in "
        f"{percent(share)} of all cases is so in {percent(share)} give or take {quantity.show(deviation)} of "
        f"{count} drawn anew (one standard deviation)."
    )


def one_answer(results: Results, classes: Sequence[str]) -> Iterator[str]:
    """Say how many runs of which rows say the same of every test example; they must hold their confusions."""
    alike = {row: [run for run in runs if always_alike(run)] for row, runs in results.items()}
    named = [f"{len(runs)} of {len(results[row])} of {row}" for row, runs in alike.items() if runs]
    if named:
        answers = {classes[int(_answers(run).argmax())] for runs in alike.values() for run in runs}
        said = listed(f"'{answer}'" for answer in sorted(answers))
        yield f"Runs that say the same of every test example, {said}: {listed(named)}."


def always_alike(run: Result) -> bool:
    """Return whether one class was said of all test examples."""
    return int((_answers(run) > 0).sum()) == 1


def _answers(run: Result) -> NDArray[Any]:
    """Return how many test examples were taken for each class, (C,)."""
    answers: NDArray[Any] = run.arrays["confusions"].sum(axis=0)  # (C, C) -> (C,)
    return answers


def _singled_out(judged: Sequence[tuple[str, Cell]], verdict: Verdict, beginning: str) -> Iterator[str]:
    named = [_beside(row, cell) for row, cell in judged if cell.verdict == verdict]
    if named:
        yield f"{beginning}: {'; '.join(named)}."


def _beside(row: str, cell: Cell) -> str:
    show = cell.quantity.show
    published = "" if cell.published is None else f"{show(cell.published)} published, "
    here = " to ".join(dict.fromkeys((show(cell.low), show(cell.high))))
    return f"{row}, {cell.quantity.name} ({published}{here} here)"


def _ahead(theirs: Sequence[float], ours: Sequence[float]) -> float:
    """Return in which share of all pairs theirs is higher."""
    return sum(their > our for their in theirs for our in ours) / (len(theirs) * len(ours))
