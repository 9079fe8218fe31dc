"""The digits by a network with a bottleneck: what the published settings reach, and what would reach the values."""

from __future__ import annotations

from collections.abc import Iterator

from nnx.experiments.choosing import median
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
from nnx.experiments.mnist.report import VALIDATION_ACCURACY, present
from nnx.experiments.sentences import quoted
from nnx.optimizers import SGD, Adam

PUBLISHED = published(1.0, 0.975, 0.972, 45)
AS_PUBLISHED, ONE_PER_CENT_RULE, ALL = "stopped as published", "1 % rule", f"all {MOST_EPOCHS} epochs"
FASTER, ADAM, NO_BOTTLENECK, WIDER = "learning rate 0.1", "Adam, 0.001", "20-20-20 units", "128-20-10 units"
WIDER_AND_FASTER = "128-20-10 units, learning rate 0.1"
READINGS, CHANGES = (AS_PUBLISHED, ONE_PER_CENT_RULE, ALL), (FASTER, ADAM, NO_BOTTLENECK, WIDER)

ROWS = (
    Row(AS_PUBLISHED, Digits(stopping=NO_RISE), PUBLISHED),
    Row(ONE_PER_CENT_RULE, Digits(stopping=ONE_PER_CENT), PUBLISHED),
    Row(ALL, Digits(), PUBLISHED),
    Row(FASTER, Digits(optimizer=SGD(0.1))),
    Row(ADAM, Digits(optimizer=Adam(0.001))),
    Row(NO_BOTTLENECK, Digits(hidden=(20, 20, 20))),
    Row(WIDER, Digits(hidden=(128, 20, 10))),
    # long after it tells every example of the training part right
    Row(WIDER_AND_FASTER, Digits(hidden=(128, 20, 10), optimizer=SGD(0.1), epochs=50)),
)


def pictures(results: Results) -> Iterator[Picture]:
    """See `Experiment.pictures`; the mistakes are those of the published network, trained to the end."""
    return mnist_report.pictures(ROWS, results, ALL)


def notes(results: Results) -> Iterator[str]:
    """See `Experiment.notes`."""
    yield from mnist_report.standing(EXPERIMENT, results)
    yield from mnist_report.stopped(results, (AS_PUBLISHED, ONE_PER_CENT_RULE))
    yield from mnist_report.ceiling(results, READINGS, PUBLISHED[VALIDATION])
    yield from what_changes(results)
    yield from what_reaches(results)


def what_changes(results: Results) -> Iterator[str]:
    """Say what one change at a time does to the median validation accuracy."""
    changes = present(CHANGES, results)
    if results.get(ALL) and changes:
        accuracies = {row: median(results, row, VALIDATION) for row in changes}
        most = [row for row in changes if accuracies[row] == max(accuracies.values())]
        yield (
            f"The median validation accuracy of {mnist_report.medians(results, [ALL])} becomes, one thing changed "
            f"at a time, that of {mnist_report.medians(results, changes)}. The highest of these: {quoted(most)}."
        )


def what_reaches(results: Results) -> Iterator[str]:
    """Say which rows reach the published validation accuracy in the median."""
    target = VALIDATION_ACCURACY.rounded(PUBLISHED[VALIDATION])
    shown = VALIDATION_ACCURACY.show(PUBLISHED[VALIDATION])
    reaching = [
        row
        for row in present(results, results)
        if VALIDATION_ACCURACY.rounded(median(results, row, VALIDATION)) >= target
    ]
    if reaching:
        yield f"A median of the published {shown} is reached by: {mnist_report.medians(results, reaching)}."
    else:
        yield f"No row has a median of the published {shown}."


EXPERIMENT = Experiment(
    name="mnist-baseline",
    title="Digits by 784-20-7-5-10: stopping rules, and what a bottleneck costs",
    question=(
        "A network of three small hidden layers learns to read digits; a rule on the validation accuracy says when "
        "to stop. The statement of the rule leaves room, so that it is read in three ways: to the letter, with the "
        "accuracy measured after every step; as less than one per cent gained in 100 steps; and not at all. "
        "Everything a digit says has to pass 7 and then 5 units, and the steps are short: further rows change one "
        "thing at a time, to see which of the settings holds the accuracy down, and what would reach the published "
        "one."
    ),
    dataset="mnist",
    settings=SETTINGS,
    rows=ROWS,
    quantities=QUANTITIES,
    source=SOURCE,
    pictures=pictures,
    notes=notes,
    seeds=SEEDS,
    seconds={"numba": 10.4},
)
