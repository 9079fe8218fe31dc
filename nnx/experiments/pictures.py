"""The pictures that experiments share: from what was measured to what the report shows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from nnx import datasets, plots
from nnx.datasets import Dataset
from nnx.experiments.choosing import Run, measured
from nnx.experiments.experiment import Picture, Quantity, Results, Row
from nnx.experiments.training import AFTER, TEST, TRAIN, load
from nnx.plots.curves import MOST_BANDS, has_bands

ACCURACY = Quantity(TEST, 1, 100, " %")
SHEET = 24
"""So many images that were told wrong are shown."""


def cost_curves(rows: Sequence[Row], results: Results, quantity: str = AFTER) -> Picture:
    """Draw the cost of some rows over the epochs, and what was published of the one after the last."""
    return curves(rows, results, "cost", quantity, title="Cost while training")


def curves(
    rows: Sequence[Row], results: Results, curve: str, quantity: str = "", *, title: str, name: str = ""
) -> Picture:
    """Draw one curve of some rows: its median over the seeds, and its range as a band.

    Args:
        rows: to draw, as far as they were run.
        results: what was measured.
        curve: its name in `Result.curves`; rows without it are left out.
        quantity: whose published values are marked at the right end; empty for none.
        title: heading of the picture.
        name: of its file; by default that of the curve.
    """
    runs = {row.name: results[row.name] for row in rows if row.name in results}
    shown = {
        row: [(run.curves[curve].steps, run.curves[curve].values) for run in own]
        for row, own in runs.items()
        if curve in own[0].curves
    }
    published = {
        row.name: row.published[quantity] for row in rows if row.name in shown and quantity in row.published
    }
    figure = plots.learning_curves(shown, quantity=curve, published=published or None)
    caption = f"The {curve} over the epochs. {lines_said(shown)}"
    if published:
        caption += f" The marks at the right end are the published values of '{quantity}'."
    return Picture(name or f"{curve.replace(' ', '-')}-curves", title, caption, figure)


def lines_said(lines: Mapping[str, Sequence[Any]], what: str = "seeds") -> str:
    """Say what the lines and bands of `learning_curves` are, given the same runs; `what` they are over."""
    if has_bands(lines):
        return over("Each line", lines.values(), what, "the band around it")
    hidden = f" Bands are left out: more than {MOST_BANDS} would cover one another."
    return over("Each line", lines.values(), what) + (hidden if _several(lines.values()) else "")


def over(what_is: str, runs: Iterable[Sequence[Any]], what: str = "seeds", reach: str = "") -> str:
    """Say over how many runs something is the median.

    Args:
        what_is: the median, such as "Each line".
        runs: those of each row.
        what: what they are, in the plural.
        reach: what shows the range; empty for nothing.
    """
    counts = sorted({len(own) for own in runs})
    if counts == [1]:
        return f"{what_is} is a single run."
    number = " to ".join(map(str, dict.fromkeys((counts[0], counts[-1]))))
    ranges = f", {reach} reaches from the lowest to the highest" if reach else ""
    return f"{what_is} is the median over {number} {what}{ranges}."


def accuracies(
    rows: Sequence[Row],
    results: Results,
    quantities: Sequence[str] = (TRAIN, TEST),
    *,
    title: str = "Accuracies after training",
    name: str = "accuracies",
    meaning: str = "Shares of examples that were told right.",
) -> Picture:
    """Draw accuracies of some rows, or other shares, as bars, with what was published of them.

    Args:
        rows: to draw, as far as they were run.
        results: what was measured.
        quantities: names of figures in [0, 1].
        title: heading of the picture.
        name: of its file.
        meaning: what the shares are of, in a sentence.
    """
    shown = [row for row in rows if row.name in results]
    bars = {row.name: {name: measured(results, row.name, name) for name in quantities} for row in shown}
    marks = {row.name: _among(row, quantities) for row in shown if _among(row, quantities)}
    figure = plots.accuracy_bars(bars, published=marks or None)
    caption = f"{meaning} {over('Each bar', (results[row.name] for row in shown), reach='the line on it')}"
    if marks:
        caption += " Marks are the published values, of single runs."
    return Picture(name, title, caption, figure)


def confusions(run: Run, dataset: str, accuracy: Quantity = ACCURACY) -> Picture:
    """Draw which class was taken for which in one run, over the test examples of a data set."""
    title = "Which class was taken for which"
    figure = plots.confusion_matrix(run.result.arrays["confusions"], datasets.info(dataset).classes)
    told = "Lines are true classes, columns what the network said of the test examples."
    return Picture("confusions", title, f"{described(run, accuracy)} {told}", figure)


def mistakes(run: Run, dataset: str, accuracy: Quantity = ACCURACY) -> Picture:
    """Draw the test images of a data set that were told wrong in one run."""
    return mistakes_among(run, load(dataset), accuracy)


def mistakes_among(run: Run, data: Dataset, accuracy: Quantity = ACCURACY) -> Picture:
    """Draw the test images that were told wrong in one run, which had these data."""
    images, labels = data.test
    predictions = run.result.arrays["predictions"]
    figure = plots.misclassified(images, labels, predictions, data.classes, most=SHEET)
    wrong = int((labels != predictions).sum())
    shown = f"the first {SHEET} of them are shown, " if wrong > SHEET else ""
    below = f"; {shown}under each its class and what was said" if wrong else ""
    told = f"It told {wrong} of {len(labels)} test images wrong{below}."
    return Picture("mistakes", "Test images that were told wrong", f"{described(run, accuracy)} {told}", figure)


def described(run: Run, accuracy: Quantity) -> str:
    """Say which run a picture is of, and how its accuracy stands to the median of its row."""
    own, middle = (accuracy.show(value) for value in (run.result.figures[accuracy.name], run.middle))
    which = f"'{run.row}' from seed {run.seed}"
    if run.among == 1:
        return f"The only run of {which}: {accuracy.name} {own}."
    if own == middle:
        return f"One run, {which}, of the median {accuracy.name} of its row: {own}."
    return f"One run, {which}: its {accuracy.name}, {own}, is next to the median of its row, {middle}."


def _several(runs: Iterable[Sequence[Any]]) -> bool:
    return any(len(own) > 1 for own in runs)


def _among(row: Row, quantities: Sequence[str]) -> dict[str, float]:
    return {quantity: row.published[quantity] for quantity in quantities if quantity in row.published}
