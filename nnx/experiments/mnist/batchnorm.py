"""Why the digits' accuracy fell with batch normalisation where it was published, and what it does if done right."""

from __future__ import annotations

from collections.abc import Iterator

from nnx.experiments import sentences
from nnx.experiments.choosing import measured
from nnx.experiments.experiment import Experiment, Picture, Results, Row
from nnx.experiments.mnist import report as mnist_report
from nnx.experiments.mnist.common import (
    MOST_EPOCHS,
    NO_RISE,
    ONE_PER_CENT,
    QUANTITIES,
    SEEDS,
    SETTINGS,
    SOURCE,
    VALIDATION,
    Digits,
    published,
)
from nnx.experiments.mnist.norms import (
    ByVariance,
    LeftOutAtPrediction,
    NormalisedAfter,
    PerExample,
    Unscaled,
    WithoutGradient,
)
from nnx.experiments.mnist.report import VALIDATION_ACCURACY, median, present, spread
from nnx.experiments.sentences import listed
from nnx.experiments.summary import summarise

PUBLISHED = published(0.66, 0.64, 0.636, 92)
NEAR = 0.05
"""A run is near the published value if its validation accuracy is at most so far from it."""

BEFORE_STOPPED, BEFORE_RULE, BEFORE = "before, stopped as published", "before, 1 % rule", "before"
AFTER_RULE, AFTER = "after, 1 % rule", "after"
NO_GRADIENT_RULE, NO_GRADIENT = "no gradient, 1 % rule", "no gradient"
LEFT_OUT, VARIANCE, PER_EXAMPLE = "left out at prediction", "divided by the variance", "per example"
MISTAKES = (NO_GRADIENT, LEFT_OUT, VARIANCE, PER_EXAMPLE)
TRAINED_ON = {BEFORE_STOPPED: BEFORE, BEFORE_RULE: BEFORE, AFTER_RULE: AFTER, NO_GRADIENT_RULE: NO_GRADIENT}
"""Of each row that a rule ends, the one that goes on."""

ROWS = (
    Row(BEFORE_STOPPED, Digits(batch_norm=True, stopping=NO_RISE), PUBLISHED),
    Row(BEFORE_RULE, Digits(batch_norm=True, stopping=ONE_PER_CENT), PUBLISHED),
    Row(BEFORE, Digits(batch_norm=True)),
    Row(AFTER_RULE, NormalisedAfter(norm=Unscaled, stopping=ONE_PER_CENT), PUBLISHED),
    Row(AFTER, NormalisedAfter(norm=Unscaled)),
    Row(NO_GRADIENT_RULE, NormalisedAfter(norm=WithoutGradient, stopping=ONE_PER_CENT)),
    Row(NO_GRADIENT, NormalisedAfter(norm=WithoutGradient)),
    Row(LEFT_OUT, NormalisedAfter(norm=LeftOutAtPrediction)),
    Row(VARIANCE, NormalisedAfter(norm=ByVariance)),
    Row(PER_EXAMPLE, NormalisedAfter(norm=PerExample)),
)


def pictures(results: Results) -> Iterator[Picture]:
    """See `Experiment.pictures`; the mistakes are those of batch norm done right, to the end."""
    return mnist_report.pictures(ROWS, results, BEFORE)


def notes(results: Results) -> Iterator[str]:
    """See `Experiment.notes`."""
    yield from sentences.standing(summarise(EXPERIMENT, results))
    yield from what_is_near(results)
    yield from what_explains(results)
    yield from mnist_report.peaks(results, VARIANCE)


def near(results: Results, row: str) -> bool:
    """Return whether a run of that row is near the published validation accuracy."""
    return any(abs(value - PUBLISHED[VALIDATION]) <= NEAR for value in measured(results, row, VALIDATION))


def what_is_near(results: Results) -> Iterator[str]:
    """Say which rows come near the published value, and which do not."""
    target = f"the published {VALIDATION_ACCURACY.show(PUBLISHED[VALIDATION])}"
    points = f"{100 * NEAR:.0f} points"
    for chosen, beginning in (
        (True, f"At most {points} from {target} are runs of"),
        (False, f"Farther than {points} from {target} in every run"),
    ):
        among = [f"{row} ({spread(results, row)})" for row in results if near(results, row) == chosen]
        if among:
            yield f"{beginning}: {listed(among)}."


def what_explains(results: Results) -> Iterator[str]:
    """Say whether it is the rule or a mistake that explains the published value, and what batch norm comes to."""
    ended = [row for row in present(TRAINED_ON, results) if near(results, row) and results.get(TRAINED_ON[row])]
    for row in ended:
        goes_on = TRAINED_ON[row]
        if not near(results, goes_on) and median(results, goes_on) > PUBLISHED[VALIDATION]:
            yield (
                f"'{row}' is ended after {spread(results, row, mnist_report.EPOCHS_RUN)} epochs; the same network, "
                f"trained for all {MOST_EPOCHS}, comes to {spread(results, goes_on)}. Ending so early is "
                "enough to explain the published value."
            )
    left_alone = [row.name for row in ROWS if row.name in results and not mnist_report.ends_early(row)]
    if ended and left_alone and not any(near(results, row) for row in left_alone):
        yield (
            f"No row that is trained for all {MOST_EPOCHS} epochs ends near the published value; only those ended "
            "by a rule do."
        )
    mistakes = [row for row in present(MISTAKES, results) if near(results, row)]
    if mistakes:
        yield f"Mistakes that end near the published value without any rule: {listed(mistakes)}."
    done_right = present((BEFORE, AFTER), results)
    if done_right and not any(near(results, row) for row in done_right):
        shown = mnist_report.medians(results, done_right)
        yield f"Batch norm done right does not explain it: without a rule, {shown} in the median."


EXPERIMENT = Experiment(
    name="mnist-batchnorm",
    title="Batch normalisation of the digits' network: right, stopped early, and with its usual mistakes",
    question=(
        "With batch normalisation, the published accuracy fell to 64 %. Is that what it does, or what was made of "
        "it? It is done right here, before the activation with learned scale and offset, and after it without "
        "them; ended by the rules of mnist-baseline, and not; and with the mistakes that programs written by hand "
        "make: a backward pass that knows nothing of it; besides that, predictions without it; a division by the "
        "variance in place of its root; and statistics of one example over its units in place of one unit over the "
        "examples."
    ),
    dataset="mnist",
    settings={
        **SETTINGS,
        "epochs": f"{MOST_EPOCHS}, unless the row names a rule that stops earlier",
        "batch normalisation": "of all hidden layers; 'before' and 'after' the activation are done right, all "
        "other rows are after it",
    },
    rows=ROWS,
    quantities=QUANTITIES,
    source=SOURCE,
    pictures=pictures,
    notes=notes,
    seeds=SEEDS,
)
