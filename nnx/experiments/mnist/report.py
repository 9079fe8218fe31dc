"""What the reports on handwritten digits show and say, whichever experiment was run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from nnx import plots
from nnx.experiments import sentences
from nnx.experiments.choosing import best_row, measured, median, typical
from nnx.experiments.experiment import Experiment, Picture, Quantity, Results, Row
from nnx.experiments.mnist.common import HIGHEST, QUANTITIES, VALIDATION, Digits
from nnx.experiments.mnist.endings import drawn_until_ended
from nnx.experiments.pictures import accuracies, confusions, lines_said, mistakes
from nnx.experiments.result import Curve
from nnx.experiments.sentences import listed, quoted
from nnx.experiments.summary import Line, summarise
from nnx.experiments.training import TEST, TRAIN

VALIDATION_ACCURACY = QUANTITIES[1]
EPOCHS_RUN = QUANTITIES[3]


def pictures(rows: Sequence[Row], results: Results, looked_into: str = "") -> Iterator[Picture]:
    """Draw what the networks get wrong over the epochs, all accuracies, and what a typical run takes for what.

    Rows that a rule ends have a picture of their own: of 200 epochs, they last a few.

    Args:
        rows: of the experiment.
        results: what was measured.
        looked_into: the row whose typical run it is; by default, or if it was not run, the best.
    """
    yield from errors([row for row in rows if not ends_early(row)], results)
    yield from until_ended(rows, results)
    yield from outcomes(rows, results, looked_into)


def outcomes(rows: Sequence[Row], results: Results, looked_into: str = "") -> Iterator[Picture]:
    """Draw what came of training, as `pictures` does."""
    yield accuracies(rows, results, (TRAIN, VALIDATION, TEST))
    run = typical(looked_into if results.get(looked_into) else best_row(results), results)
    yield confusions(run, "mnist")
    yield mistakes(run, "mnist")


def errors(
    rows: Iterable[Row],
    results: Results,
    title: str = "Validation error while training",
    name: str = "validation-error",
) -> Iterator[Picture]:
    """Draw the validation error of rows over the epochs, if any was run: accuracies near 1 lie on one another."""
    shown = [row for row in rows if results.get(row.name)]
    lines = {row.name: [_error(run.curves[VALIDATION]) for run in results[row.name]] for row in shown}
    if not lines:
        return
    published = {row.name: 1 - row.published[VALIDATION] for row in shown if VALIDATION in row.published}
    figure = plots.learning_curves(
        lines, quantity="validation error", published=published or None, logarithmic=_positive(lines)
    )
    caption = f"The share of the validation part that is told wrong, over the epochs. {lines_said(lines)}"
    if published:
        caption += " The marks at the right end are the published values."
    yield Picture(name, title, caption, figure)


def until_ended(rows: Iterable[Row], results: Results) -> Iterator[Picture]:
    """Draw the validation accuracy of each run of rows that a rule ends: medians of unlike lengths would jump."""
    shown = [row for row in rows if results.get(row.name) and ends_early(row)]
    lines = {row.name: [run.curves[VALIDATION] for run in results[row.name]] for row in shown}
    if not lines:
        return
    published = {row.name: row.published[VALIDATION] for row in shown if VALIDATION in row.published}
    title = "Validation accuracy until a rule ends training"
    caption = "The validation accuracy over the epochs, each run a line. A mark is where the run ended."
    if published:
        caption += " The hollow marks at the right end are the published values."
    figure = drawn_until_ended(lines, published, VALIDATION)
    yield Picture("validation-accuracy-until-ended", title, caption, figure)


def _error(accuracy: Curve) -> tuple[Sequence[float], list[float]]:
    return accuracy.steps, [1 - value for value in accuracy.values]


def _positive(lines: Mapping[str, Sequence[tuple[Sequence[float], list[float]]]]) -> bool:
    return all(value > 0 for runs in lines.values() for _, values in runs for value in values)


def ends_early(row: Row) -> bool:
    """Return whether a rule may end the training of a row."""
    return isinstance(row.settings, Digits) and row.settings.stopping is not None


def standing(experiment: Experiment, results: Results) -> Iterator[str]:
    """Say how the values of the one published run stand to those of the readings of how it was made.

    Its values are in every reading's line of the table: they are the same ones, compared again.
    """
    lines = [line for line in summarise(experiment, results) if any(cell.verdict for cell in line.cells)]
    verdicts = [cell.verdict for line in lines for cell in line.cells if cell.verdict]
    if lines:
        readings = "one reading" if len(lines) == 1 else f"{len(lines)} readings"
        yield (
            f"One run was published: {listed(_compared(lines))} are compared in {readings} of its settings. Within "
            f"the range of the runs here: {verdicts.count('within')} of {len(verdicts)} comparisons."
        )
    yield from sentences.beside(lines)


def _compared(lines: Sequence[Line]) -> list[str]:
    """Return the names of what was published and can be compared."""
    return list(dict.fromkeys(cell.quantity.name for line in lines for cell in line.cells if cell.verdict))


def present(names: Iterable[str], results: Results) -> list[str]:
    """Return those of the rows that were run."""
    return [name for name in names if results.get(name)]


def spread(results: Results, row: str, quantity: Quantity = VALIDATION_ACCURACY) -> str:
    """Write the range of a quantity over the seeds, as "20.5 % to 89.3 %", or one value if they are alike."""
    values = measured(results, row, quantity.name)
    low, high = quantity.show(min(values)), quantity.show(max(values))
    return low if low == high else f"{low} to {high}"


def medians(results: Results, rows: Iterable[str]) -> str:
    """Write the median validation accuracy of each row, as "'A' (93.0 %) and 'B' (94.1 %)"."""
    return listed(f"'{row}' ({VALIDATION_ACCURACY.show(median(results, row, VALIDATION))})" for row in rows)


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
            f"In all {len(values)} runs of {quoted(among)}, the highest validation accuracy measured on the way, "
            f"whenever it was looked at, is {show(highest)}: ending them at the best moment would not give the "
            f"{show(target)} published either."
        )
    else:
        yield f"The validation accuracy of {quoted(among)} comes to {show(highest)}; {show(target)} was published."
