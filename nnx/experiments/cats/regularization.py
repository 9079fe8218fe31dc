"""What the L2 penalty and dropout do about a network that knows its photographs by heart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from nnx import plots
from nnx.datasets import info
from nnx.experiments import sentences
from nnx.experiments.cats.common import QUANTITIES, SETTINGS, training
from nnx.experiments.cats.report import TEST_ACCURACY, outcomes
from nnx.experiments.choosing import best_row, measured, median, paired
from nnx.experiments.experiment import Experiment, Picture, Quantity, Results, Row
from nnx.experiments.pictures import curves, lines_said
from nnx.experiments.sentences import median_of
from nnx.experiments.tracking import GAP, TEST_COST, TrackedTraining
from nnx.experiments.training import AFTER, BEFORE, TEST, TRAIN

ITERATIONS = 3000
NONE = "none"


def tracked(**options: Any) -> TrackedTraining:
    """Return the deep and wide network of 20, 7 and 5 hidden units, measured on both parts as it is trained."""
    return TrackedTraining(**vars(training((20, 7, 5), epochs=ITERATIONS, **options)))


LAMBDAS = {NONE: 0.0, "L2 1": 1.0, "L2 3": 3.0, "L2 10": 10.0, "L2 30": 30.0}
"""By the names of rows. The step shrinks each weight by the learning rate * lambda / 209 of itself: over all
iterations, 1 takes a tenth of a weight that nothing else holds, 30 all but a twenty-fifth."""

RATES = {NONE: 0.0, "dropout 0.1": 0.1, "dropout 0.2": 0.2, "dropout 0.4": 0.4}

ROWS = (
    *(Row(name, tracked(l2=factor)) for name, factor in LAMBDAS.items()),
    *(Row(name, tracked(dropout=rate)) for name, rate in RATES.items() if rate),
    Row("both, 3 and 0.1", tracked(l2=3.0, dropout=0.1)),
    Row("both, 10 and 0.2", tracked(l2=10.0, dropout=0.2)),
)

POINTS = Quantity(GAP, 1, 100, " points")
COST_QUANTITY = Quantity(TEST_COST, better="low")


def pictures(results: Results) -> Iterator[Picture]:
    """Draw what each strength does, how the test cost goes on, and what a run of the best row takes for what."""
    yield from sweep(results, LAMBDAS, "lambda", "sweep-l2", "Accuracy by the strength of the L2 penalty")
    yield from sweep(results, RATES, "rate of dropout", "sweep-dropout", "Accuracy by the rate of dropout")
    for strengths, name, title in (
        (LAMBDAS, "test-cost-l2", "Test cost while training, with the L2 penalty"),
        (RATES, "test-cost-dropout", "Test cost while training, with dropout"),
    ):
        shown = {row: runs for row, runs in results.items() if row in strengths}
        if shown:
            yield curves(ROWS, shown, TEST_COST, title=title, name=name)
    yield from outcomes(ROWS, results)


def sweep(
    results: Results, strengths: Mapping[str, float], across: str, name: str, title: str
) -> Iterator[Picture]:
    """Draw the accuracies of rows over their strengths, where at least two of them were run."""
    rows = [row for row in strengths if row in results]
    if len(rows) < 2:
        return
    steps = [strengths[row] for row in rows]
    lines = {
        quantity: [(steps, values) for values in paired(results, rows, quantity).values()]
        for quantity in (TRAIN, TEST)
    }
    if not all(lines.values()):
        return
    caption = (
        f"Accuracy after training by {across}; 0 is without. {lines_said(lines)} Seeds count from which all of "
        "these have a run. The room between the two lines is the gap."
    )
    yield Picture(name, title, caption, plots.learning_curves(lines, quantity="accuracy", across=across))


def notes(results: Results) -> Iterator[str]:
    """Say what closes the gap and how, which setting is best, and how much of it is chance."""
    others = [row for row in results if row != NONE]
    if NONE in results and others:
        yield from closed(results, others)
    yield from sentences.best(results, TEST_ACCURACY)
    if NONE in results and others:
        yield from compared(results, best_row(results, TEST))
        yield surest(results)
    yield from sentences.one_answer(results, info("cats").classes)
    yield from sentences.few_examples(results, TEST_ACCURACY)


def closed(results: Results, others: list[str]) -> Iterator[str]:
    """Say how many settings have a smaller gap than none, and whether test or training accuracy made it so."""
    gap, name = median(results, NONE, GAP), median_of(results, GAP)
    smaller = [row for row in others if median(results, row, GAP) < gap]
    better = [row for row in smaller if median(results, row, TEST) > median(results, NONE, TEST)]
    yield (
        f"Without either, the {name}, training less test accuracy, is {POINTS.show(gap)}. Settings with a smaller "
        f"one: {len(smaller)} of {len(others)}; of these, also with a higher {median_of(results, TEST)}: "
        f"{len(better)}."
    )
    if smaller:
        closest = min(smaller, key=lambda row: median(results, row, GAP))
        train, test = (median(results, closest, part) - median(results, NONE, part) for part in (TRAIN, TEST))
        yield (
            f"The smallest {name}, {POINTS.show(median(results, closest, GAP))}, is that of '{closest}': against "
            f"'{NONE}', its {median_of(results, TEST)} is {100 * test:+z.1f} points and its "
            f"{median_of(results, TRAIN)} {100 * train:+z.1f}."
        )


def compared(results: Results, row: str) -> Iterator[str]:
    """Say how a row stands to none, seed by seed."""
    if median(results, row, TEST) <= median(results, NONE, TEST):
        yield f"No setting has a higher {median_of(results, TEST)} than '{NONE}', {ranged(results, NONE)}."
        return
    pairs = paired(results, [row, NONE], TEST).values()
    signs = [(ours > plain) - (ours < plain) for ours, plain in pairs]
    better, equal, worse = (signs.count(sign) for sign in (1, 0, -1))
    yield (
        f"'{row}' has a {median_of(results, TEST)} of {ranged(results, row)}, '{NONE}' of {ranged(results, NONE)}. "
        f"Seeds from which both have a run: {len(signs)}; it is better in {better}, equal in {equal}, worse in "
        f"{worse}."
    )


def surest(results: Results) -> str:
    """Say which row has the lowest test cost."""
    row = min(results, key=lambda name: median(results, name, TEST_COST))
    lowest, plain = median(results, row, TEST_COST), median(results, NONE, TEST_COST)
    beginning = f"The lowest {median_of(results, TEST_COST)}, {COST_QUANTITY.show(lowest)}, is that of '{row}'"
    if row == NONE:
        return f"{beginning}."
    return (
        f"{beginning}; it is {COST_QUANTITY.show(plain)} with '{NONE}'. The cost also counts how sure an answer "
        "is, right or wrong."
    )


def ranged(results: Results, row: str) -> str:
    """Write the test accuracy of a row as median and range."""
    values, show = measured(results, row, TEST), TEST_ACCURACY.show
    low, high = show(min(values)), show(max(values))
    return show(median(results, row, TEST)) + (f" ({low} to {high})" if low != high else "")


EXPERIMENT = Experiment(
    name="cats-regularization",
    title="Regularisation: L2 penalty, dropout, both",
    question=(
        "The deep and wide network tells more of the photographs right that it was trained on than of others: it "
        "knows them by heart. Two remedies are tried, each in several strengths. The L2 penalty adds "
        "lambda / (2 m) times the sum of all squared weights to the cost of m = 209 photographs. Dropout "
        "sets a share of the hidden units of each layer to zero in each step, others in each. How much of the gap "
        "between training and test accuracy does each close, and is it closed from below or from above?"
    ),
    dataset="cats",
    settings={
        **SETTINGS,
        "iterations": str(ITERATIONS),
        "hidden units": "20, 7 and 5",
        "activation": "ReLU",
        "initial weights": "He; rows with dropout have others from the same seed",
        "costs": "without the penalty and without dropout, in all rows",
    },
    rows=ROWS,
    quantities=(
        *(quantity for quantity in QUANTITIES if quantity.name in (TRAIN, TEST)),
        POINTS,
        *(quantity for quantity in QUANTITIES if quantity.name == AFTER),
        COST_QUANTITY,
        *(quantity for quantity in QUANTITIES if quantity.name not in (TRAIN, TEST, BEFORE, AFTER)),
    ),
    source=(
        "The network and the question are of the report that the other experiments on cats are from; no values "
        "were published."
    ),
    pictures=pictures,
    notes=notes,
    seconds={"numba": 27.4},
)
