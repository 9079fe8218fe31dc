"""What results mean, in sentences computed from them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from numpy.typing import NDArray

from nnx.experiments.choosing import best_row, measured, median
from nnx.experiments.experiment import Quantity, Results, Row
from nnx.experiments.result import Result
from nnx.experiments.summary import Line, Verdict


def listed(names: Iterable[str]) -> str:
    """Return "a", "a and b", or "a, b and c"."""
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


def quoted(rows: Iterable[str]) -> str:
    """List the names of rows in quotes, since they may hold commas."""
    return listed(f"'{row}'" for row in rows)


def percent(share: float) -> str:
    """Write a share as whole percents."""
    return f"{100 * share:.0f} %"


def points(difference: float, digits: int = 0) -> str:
    """Write a difference of shares in percentage points."""
    number = f"{100 * difference:z.{digits}f}"
    return f"{number} point{'' if number == '1' else 's'}"


def several(results: Results) -> bool:
    """Return whether any row has more than one run."""
    return any(len(runs) > 1 for runs in results.values())


def in_medians(results: Results) -> str:
    """Return what is said behind numbers that are medians over runs: nothing where no row has several."""
    return " (medians)" if several(results) else ""


def median_of(results: Results, quantity: str) -> str:
    """Name the median of a quantity: just as the quantity where no row has several runs."""
    return f"median {quantity}" if several(results) else quantity


def best(results: Results, quantity: Quantity) -> Iterator[str]:
    """Say which rows have the highest median of a quantity, and how often single runs would say so.

    A quantity of which more is better; nothing is said of a single row, nor of pairs where rows share the lead.
    """
    if len(results) < 2:
        return
    shown = {row: quantity.rounded(median(results, row, quantity.name)) for row in results}
    leaders, followers = _first_two(shown)
    highest = quantity.show(median(results, leaders[0], quantity.name))
    yield f"The highest {median_of(results, quantity.name)}, {highest}, is that of {quoted(leaders)}."
    if len(leaders) == 1 and followers and several(results):
        (leader,) = leaders
        duels = "; ".join(_duel(results, leader, row, quantity) for row in followers)
        yield f"Of all pairs of a run of '{leader}' and one of the next best: {duels}."


def reached(rows: Sequence[Row], results: Results, quantity: Quantity) -> Iterator[str]:
    """Say how many runs are at least as good as the published one, in a quantity of which more is better."""
    counts = []
    for row in rows:
        if row.name in results and quantity.name in row.published:
            target = quantity.rounded(row.published[quantity.name])
            values = measured(results, row.name, quantity.name)
            count = sum(quantity.rounded(value) >= target for value in values)
            counts.append(
                f"{count} of {len(values)} of '{row.name}' ({quantity.show(row.published[quantity.name])})"
            )
    if counts:
        yield f"Runs that reach the published {quantity.name}: {listed(counts)}."


_SINGLED_OUT: dict[Verdict, str] = {
    "better": "Better than published in every run",
    "not reached": "Not as good as published in any run",
    "outside": "Neither better nor worse than published, but beside it in every run",
}


def standing(lines: Sequence[Line]) -> Iterator[str]:
    """Say how the published values stand to the ranges of the runs; nothing where none can be compared."""
    judged = [cell.verdict for line in lines for cell in line.cells if cell.verdict in ("within", *_SINGLED_OUT)]
    if judged:
        yield f"Published values within the range of the runs here: {judged.count('within')} of {len(judged)}."
    yield from beside(lines)


def beside(lines: Sequence[Line]) -> Iterator[str]:
    """Name the rows of which a published value lies beside the range of the runs."""
    for verdict, beginning in _SINGLED_OUT.items():
        rows: dict[str, list[str]] = {}  # by the quantities that they have in common
        for line in lines:
            if named := [cell.quantity.name for cell in line.cells if cell.verdict == verdict]:
                rows.setdefault(listed(named), []).append(line.name)
        if rows:
            told = "; ".join(f"{quantities} of {quoted(those)}" for quantities, those in rows.items())
            yield f"{beginning}: {told}."


def few_examples(results: Results, quantity: Quantity) -> Iterator[str]:
    """Say how much of an accuracy is chance where test examples are few; runs must hold their confusions.

    Nothing is said where no row has a range, nor of an accuracy of 0 or 1, of which the formula says nothing.

    Source: the binomial distribution.
    """
    leader = best_row(results, quantity.name)
    count, share = int(_answers(results[leader][0]).sum()), median(results, leader, quantity.name)
    if not any(len(set(measured(results, row, quantity.name))) > 1 for row in results) or not 0 < share < 1:
        return
    deviation = math.sqrt(share * (1 - share) / count)
    yield (
        f"One of {count} test examples is {points(1 / count, quantity.digits)} of the {quantity.name}. Which "
        f"{count} they are is chance as well: a network that is right in {percent(share)} of all cases is so in "
        f"{percent(share)}, give or take {points(deviation, quantity.digits)}, of {count} drawn anew (one standard "
        "deviation)."
    )


def one_answer(results: Results, classes: Sequence[str]) -> Iterator[str]:
    """Say how many runs of which rows say the same of every test example; they must hold their confusions."""
    alike = {row: [run for run in runs if always_alike(run)] for row, runs in results.items()}
    named = [f"{len(runs)} of {len(results[row])} of '{row}'" for row, runs in alike.items() if runs]
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


def _first_two(shown: dict[str, float]) -> tuple[list[str], list[str]]:
    """Return the rows of the highest value, and those of the next."""
    ranks = [*sorted(set(shown.values()), reverse=True)[:2], None][:2]
    first, second = ([row for row, value in shown.items() if value == rank] for rank in ranks)
    return first, second


def _duel(results: Results, one: str, other: str, quantity: Quantity) -> str:
    """Say in which shares of all pairs of their runs the first is better, equal as shown, and worse."""
    ours, theirs = (
        [quantity.rounded(value) for value in measured(results, row, quantity.name)] for row in (one, other)
    )
    signs = [(our > their) - (our < their) for our in ours for their in theirs]
    better, equal, worse = (percent(signs.count(sign) / len(signs)) for sign in (1, 0, -1))
    return f"better than '{other}' in {better}, equal in {equal}, worse in {worse}"
