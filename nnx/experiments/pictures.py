"""The pictures that experiments share: from what was measured to what the report shows."""

from __future__ import annotations

from collections.abc import Sequence

from nnx import datasets, plots
from nnx.experiments.choosing import Run, best_row, measured, typical
from nnx.experiments.experiment import Picture, Results, Row
from nnx.experiments.training import AFTER, TEST, TRAIN, load

__all__ = [
    "Run",
    "accuracies",
    "best_row",
    "confusions",
    "cost_curves",
    "curves",
    "measured",
    "mistakes",
    "published",
    "typical",
]


def published(rows: Sequence[Row], results: Results, quantity: str) -> dict[str, float]:
    """Return what was published of a quantity, by the names of those rows that were run."""
    return {row.name: row.published[quantity] for row in rows if quantity in row.published and row.name in results}


def cost_curves(rows: Sequence[Row], results: Results, quantity: str = AFTER) -> Picture:
    """Draw the cost over the epochs, and what was published of the one after the last."""
    return curves(rows, results, "cost", quantity, title="Cost while training")


def curves(
    rows: Sequence[Row], results: Results, curve: str, quantity: str = "", *, title: str, name: str = ""
) -> Picture:
    """Draw one curve of every row: its median over the seeds, and its range as a band.

    Args:
        rows: of the experiment.
        results: what was measured.
        curve: its name in `Result.curves`; rows without it are left out.
        quantity: whose published values are marked at the right end; empty for none.
        title: heading of the picture.
        name: of its file; by default that of the curve.
    """
    shown = {row: [run.curves[curve] for run in runs] for row, runs in results.items() if curve in runs[0].curves}
    marks = {row: value for row, value in published(rows, results, quantity).items() if row in shown}
    figure = plots.learning_curves(
        {row: [(run.steps, run.values) for run in runs] for row, runs in shown.items()},
        quantity=curve,
        published=marks or None,
    )
    most = max(len(runs) for runs in shown.values())
    caption = f"The {curve} over the epochs. {_over_seeds('Each line', 'the band around it', most)}"
    if marks:
        caption += f" The marks at the right end are the published values of '{quantity}'."
    return Picture(name or f"{curve.replace(' ', '-')}-curves", title, caption, figure)


def accuracies(
    rows: Sequence[Row],
    results: Results,
    quantities: Sequence[str] = (TRAIN, TEST),
    *,
    title: str = "Accuracies after training",
    name: str = "accuracies",
) -> Picture:
    """Draw accuracies of every row as bars, with what was published of them.

    Args:
        rows: of the experiment.
        results: what was measured.
        quantities: names of accuracies in [0, 1].
        title: heading of the picture.
        name: of its file.
    """
    bars = {row: {quantity: measured(results, row, quantity) for quantity in quantities} for row in results}
    marks = {row.name: _among(row, quantities) for row in rows if row.name in results and _among(row, quantities)}
    figure = plots.accuracy_bars(bars, published=marks or None)
    most = max(len(runs) for runs in results.values())
    caption = f"Shares of examples that were told right. {_over_seeds('Each bar', 'the line on it', most)}"
    if marks:
        caption += " Marks are the published values, of single runs."
    return Picture(name, title, caption, figure)


def confusions(run: Run, dataset: str) -> Picture:
    """Draw which class was taken for which in one run, over the test examples of a data set."""
    title = "Which class was taken for which"
    figure = plots.confusion_matrix(run.result.arrays["confusions"], datasets.info(dataset).classes)
    caption = f"{_described(run)} Lines are true classes, columns what the network said of the test examples."
    return Picture("confusions", title, caption, figure)


def mistakes(run: Run, dataset: str) -> Picture:
    """Draw the test images of a data set that were told wrong in one run."""
    data, title = load(dataset), "Test images that were told wrong"
    images, labels = data.test
    predictions = run.result.arrays["predictions"]
    figure = plots.misclassified(images, labels, predictions, data.classes)
    wrong = int((labels != predictions).sum())
    told = f"It told {wrong} of {len(labels)} test images wrong; under each stand its class and what was said."
    caption = f"{_described(run)} {told}"
    return Picture("mistakes", title, caption, figure)


def _among(row: Row, quantities: Sequence[str]) -> dict[str, float]:
    return {quantity: row.published[quantity] for quantity in quantities if quantity in row.published}


def _over_seeds(middle: str, reach: str, seeds: int) -> str:
    if seeds == 1:
        return f"{middle} is a single run."
    return f"{middle} is the median over {seeds} seeds, {reach} reaches from the lowest to the highest."


def _described(run: Run) -> str:
    accuracy = f"{100 * run.result.figures[TEST]:.4g} %"
    return f"One run, '{run.row}' from seed {run.seed}, of the median test accuracy of its row: {accuracy}."
