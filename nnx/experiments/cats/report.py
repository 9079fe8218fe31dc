"""What the reports on the photographs of cats show and say, whichever experiment was run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from nnx.datasets import info
from nnx.experiments import sentences
from nnx.experiments.cats.common import QUANTITIES
from nnx.experiments.choosing import best_row, typical
from nnx.experiments.experiment import Experiment, Picture, Results, Row
from nnx.experiments.pictures import accuracies, confusions, cost_curves, mistakes
from nnx.experiments.summary import summarise

TEST_ACCURACY = QUANTITIES[1]


def pictures(rows: tuple[Row, ...], results: Results) -> Iterator[Picture]:
    """Draw the costs of all rows, and what came of them."""
    yield cost_curves(rows, results)
    yield from outcomes(rows, results)


def outcomes(rows: tuple[Row, ...], results: Results) -> Iterator[Picture]:
    """Draw the accuracies of all rows, and what the best row's typical run takes for what."""
    run = typical(best_row(results), results)
    yield accuracies(rows, results)
    yield confusions(run, "cats", TEST_ACCURACY)
    yield mistakes(run, "cats", TEST_ACCURACY)


def notes(experiment: Experiment, results: Results, *findings: Callable[[Results], Iterable[str]]) -> Iterator[str]:
    """Say which row is best, what else was found, how the published values stand, and how much of it is chance."""
    yield from sentences.best(results, TEST_ACCURACY)
    for finding in findings:
        yield from finding(results)
    yield from sentences.one_answer(results, info("cats").classes)
    yield from sentences.standing(summarise(experiment, results))
    yield from sentences.reached(experiment.rows, results, TEST_ACCURACY)
    yield from sentences.few_examples(results, TEST_ACCURACY)
