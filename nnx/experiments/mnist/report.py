"""What the reports on handwritten digits show and say, whichever experiment was run."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from nnx.experiments.choosing import best_row, measured, typical
from nnx.experiments.experiment import Picture, Quantity, Results, Row
from nnx.experiments.mnist.common import HIGHEST, QUANTITIES, VALIDATION, Digits
from nnx.experiments.pictures import accuracies, confusions, curves, mistakes
from nnx.experiments.sentences import listed
from nnx.experiments.training import TEST, TRAIN

VALIDATION_ACCURACY = QUANTITIES[1]
EPOCHS_RUN = QUANTITIES[3]


def pictures(rows: Sequence[Row], results: Results, looked_into: str = "") -> Iterator[Picture]:
    """Draw the validation accuracy over the epochs, all accuracies, and what a typical run takes for what.

    Rows that a rule ends have a picture of their own: of 200 epochs, they last a few.

    Args:
        rows: of the experiment.
        results: what was measured.
        looked_into: the row whose typical run it is; by default, or if it was not run, the best.
    """
    for ended, title, name in (
        (False, "Validation accuracy while training", "validation-accuracy"),
        (True, "Validation accuracy until a rule ends training", "validation-accuracy-until-stopped"),
    ):
        shown = {row.name: results[row.name] for row in rows if row.name in results and ends_early(row) == ended}
        if shown:
            picture = curves(rows, shown, VALIDATION, VALIDATION, title=title, name=name)
            hint = " A run counts until it ends: where one does, the line goes over to the others." if ended else ""
            yield replace(picture, caption=picture.caption + hint)
    yield accuracies(rows, results, (TRAIN, VALIDATION, TEST))
    run = typical(looked_into if looked_into in results else best_row(results), results)
    yield confusions(run, "mnist")
    yield mistakes(run, "mnist")


def ends_early(row: Row) -> bool:
    """Return whether a rule may end the training of a row."""
    return isinstance(row.settings, Digits) and row.settings.stopping is not None


def present(names: Iterable[str], results: Results) -> list[str]:
    """Return those of the rows that were run."""
    return [name for name in names if results.get(name)]


def median(results: Results, row: str, quantity: str = VALIDATION) -> float:
    """Return the median of a quantity over the seeds."""
    return statistics.median(measured(results, row, quantity))


def spread(results: Results, row: str, quantity: Quantity = VALIDATION_ACCURACY) -> str:
    """Write the range of a quantity over the seeds, as "20.5 % to 89.3 %", or one value if they are alike."""
    values = measured(results, row, quantity.name)
    low, high = quantity.show(min(values)), quantity.show(max(values))
    return low if low == high else f"{low} to {high}"


def medians(results: Results, rows: Iterable[str]) -> str:
    """Write the median validation accuracy of each row, as "A (93.0 %) and B (94.1 %)"."""
    return listed(f"{row} ({VALIDATION_ACCURACY.show(median(results, row))})" for row in rows)


def stopped(results: Results, rows: Iterable[str]) -> Iterator[str]:
    """Say after how many epochs a rule ended the training of each row, and where that left it."""
    for row in present(rows, results):
        yield (
            f"'{row}' was ended after {spread(results, row, EPOCHS_RUN)} epochs, "
            f"at a validation accuracy of {spread(results, row)}."
        )


def ceiling(results: Results, rows: Iterable[str], target: float) -> Iterator[str]:
    """Say how high the validation accuracy of some rows ever was, against one that was published."""
    among = present(rows, results)
    values = [value for row in among for value in measured(results, row, HIGHEST)]
    if not values:
        return
    highest = max(values)
    show = VALIDATION_ACCURACY.show
    if VALIDATION_ACCURACY.rounded(highest) < VALIDATION_ACCURACY.rounded(target):
        yield (
            f"In all {len(values)} runs of {listed(among)}, the highest validation accuracy measured on the way, "
            f"whenever it was looked at, is {show(highest)}: ending them at the best moment would not give the "
            f"{show(target)} published either."
        )
    else:
        yield f"The validation accuracy of {listed(among)} comes to {show(highest)}; {show(target)} was published."


def peaks(results: Results, row: str) -> Iterator[str]:
    """Say how high the validation accuracy of a row was on the way, if it ends lower in some run."""
    ends = measured(results, row, VALIDATION) if results.get(row) else []
    highest = measured(results, row, HIGHEST) if ends else []
    if any(
        VALIDATION_ACCURACY.rounded(top) > VALIDATION_ACCURACY.rounded(end)
        for top, end in zip(highest, ends, strict=True)
    ):
        show = VALIDATION_ACCURACY.show
        yield (
            f"On the way, '{row}' comes to a validation accuracy of {show(min(highest))} to {show(max(highest))}; "
            f"it ends at {spread(results, row)}."
        )
