"""How far one layer gets in telling cats from dogs: logistic regression on the values of the pixels."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from nnx import plots, random
from nnx.datasets import Dataset, info
from nnx.experiments import sentences
from nnx.experiments.choosing import Run, measured, median, typical
from nnx.experiments.experiment import Experiment, Picture, Quantity, Results, Row
from nnx.experiments.pictures import accuracies, confusions, lines_said, mistakes_among
from nnx.experiments.result import Curve, Result
from nnx.experiments.summary import summarise
from nnx.experiments.tracking import COST, TEST_COST, TrackedTraining
from nnx.experiments.training import SECONDS, TEST, TRAIN, load
from nnx.model import Sequential
from nnx.optimizers import SGD
from nnx.plots.drawing import page

NAME = "logistic regression"
DATASET = "cats_vs_dogs"
WEIGHTS = "weights"
WEIGHT = "1.weight"
"""The name that the model has for them: layer 0 flattens."""

TRAINED_ON = 800
LEARNING_RATE, ITERATIONS, PERIOD = 0.001, 10_000, 300
PUBLISHED_AT = 9900
COST_AT = f"cost after {PUBLISHED_AT} iterations"


@dataclass(frozen=True)
class SplitTraining(TrackedTraining):
    """Training in which the seed decides what is trained and what is tested on, the first being as the file has it.

    `Result.figures` holds besides: the cost after 9900 iterations, if there were so many. `Result.arrays` holds the
    weights of the only layer, in the shape of an example.
    """

    def run(self, seed: int, backend: str) -> Result:
        """See `Settings.run`."""
        data = split(load(self.dataset), seed)
        model = self.network(len(data.classes), data.train[0].shape[1:], seed, backend)
        return self.measure(model, data)

    def measure(self, model: Sequential, data: Dataset) -> Result:
        """See `Training.measure`."""
        result = super().measure(model, data)
        figures, costs = dict(result.figures), values_at(result.curves[COST])
        if PUBLISHED_AT in costs:
            figures[COST_AT] = costs[PUBLISHED_AT]
        weights = model.get_weights()[WEIGHT].astype(np.float64).reshape(data.train[0].shape[1:])
        # more digits than these would show in no picture, but double the file that results are kept in
        return replace(result, figures=figures, arrays={**result.arrays, WEIGHTS: weights.round(6)})


def split(data: Dataset, seed: int) -> Dataset:
    """Return the data as they are for seed 0, else with as many of each part, drawn by the seed from both."""
    if seed == 0:
        return data
    x, y = (np.concatenate(parts) for parts in zip(*data, strict=True))
    order, count = random.permutation(len(y), seed, random.stream_of("split")), len(data.train[1])
    first, second = np.sort(order[:count]), np.sort(order[count:])
    return replace(data, train=(x[first], y[first]), test=(x[second], y[second]))


def values_at(curve: Curve) -> dict[int, float]:
    """Return what was measured after which epoch."""
    return {int(step): value for step, value in zip(curve.steps, curve.values, strict=True)}


ROWS = (
    Row(
        NAME,
        SplitTraining(DATASET, (), init="zeros", optimizer=SGD(LEARNING_RATE), epochs=ITERATIONS, period=PERIOD),
        {COST_AT: 0.397, TRAIN: 0.861, TEST: 0.595},
    ),
)

QUANTITIES = (
    Quantity(TRAIN, 1, 100, " %", "high"),
    Quantity(TEST, 1, 100, " %", "high"),
    Quantity(COST_AT, 3, better="low"),
    Quantity(TEST_COST, 3, better="low"),
    Quantity(SECONDS, 1, unit=" s", better="low", comparable=False),
)
TEST_ACCURACY = QUANTITIES[1]


def pictures(results: Results) -> Iterator[Picture]:
    """Draw costs, accuracies, what one run takes for what, and what it looks at."""
    run = typical(NAME, results)
    yield costs(results)
    yield accuracies(ROWS, results)
    yield confusions(run, DATASET, TEST_ACCURACY)
    yield mistakes_among(run, split(load(DATASET), run.seed), TEST_ACCURACY)
    yield weights(run)


def costs(results: Results) -> Picture:
    """Draw the cost on both parts over the iterations."""
    lines = {
        label: [(run.curves[curve].steps, run.curves[curve].values) for run in results[NAME]]
        for label, curve in (("training pictures", COST), ("test pictures", TEST_COST))
    }
    published = {"training pictures": ROWS[0].published[COST_AT]}
    figure = plots.learning_curves(
        lines, quantity="cost", across="iteration", published=published, logarithmic=False
    )
    caption = (
        f"The cost over the iterations, on both parts. {lines_said(lines, 'splits')} The mark is the published "
        f"cost after {PUBLISHED_AT} iterations. At {math.log(2):.3f}, the logarithm of 2, begin all that call "
        "everything as likely a cat as a dog."
    )
    return Picture("cost-curves", "Cost while training", caption, figure)


def weights(run: Run) -> Picture:
    """Draw the weights of one run as an image."""
    learned = run.result.arrays[WEIGHTS]  # (64, 64, 3)
    cat, dog = info(DATASET).classes
    caption = (
        f"The weights of split {run.seed}, one panel per colour, each at the place of its pixel. Where a weight is "
        f"red, brightness speaks for {dog}, where blue, for {cat}. All that the model knows is in them: it is one "
        "template, laid over every picture at the same place."
    )
    with page(7.2, 2.6, None, "") as figure:
        reach = float(np.abs(learned).max())
        panels = figure.subplots(1, learned.shape[2], squeeze=False)[0]
        for index, (axes, colour) in enumerate(zip(panels, ("red", "green", "blue"), strict=True)):
            image = axes.imshow(learned[:, :, index], cmap="RdBu_r", vmin=-reach, vmax=reach)
            axes.set_title(colour)
            axes.set_axis_off()
        figure.colorbar(image, ax=list(panels), shrink=0.85, label="weight")
    return Picture("weights", "What was learned: weights as an image", caption, figure)


def notes(results: Results) -> Iterator[str]:
    """Say how much better than guessing it is, when it was best, and how near the published values are."""
    yield guessing(results)
    yield turning(results)
    yield own_split(results[NAME])
    yield from sentences.standing(summarise(EXPERIMENT, results))
    yield (
        "The published run had another 1000 pictures of the same collection: its values may lie near the range "
        "here and need not lie in it."
    )
    yield from sentences.few_examples(results, TEST_ACCURACY)


def own_split(runs: Sequence[Result]) -> str:
    """Say what the split of the file gives beside drawn ones."""
    show = TEST_ACCURACY.show
    own = [run.figures[TEST] for run in runs if run.seed == 0]
    drawn = [run.figures[TEST] for run in runs if run.seed != 0]
    told = [f"{show(accuracy)} on that of the file (seed 0)" for accuracy in own]
    if drawn:
        reach = " to ".join(dict.fromkeys((show(min(drawn)), show(max(drawn)))))
        told.append(f"{reach} on drawn ones ({len(drawn)} run{'s' * (len(drawn) > 1)})")
    return f"Test accuracy by split: {sentences.listed(told)}."


def guessing(results: Results) -> str:
    """Say how many runs do better on the test pictures than a guess may by luck.

    Source: the binomial distribution.
    """
    found, count = measured(results, NAME, TEST), int(results[NAME][0].arrays["confusions"].sum())
    luck = 0.5 + 2 * math.sqrt(0.25 / count)
    above = sum(accuracy > luck for accuracy in found)
    return (
        f"{TEST_ACCURACY.show(median(results, NAME, TEST))}{sentences.in_medians(results)} is what is told of cats "
        "and dogs by one layer, which weighs how bright each place is and knows no shapes. A guess is right in "
        f"half of all cases, and of {count} in up to {sentences.percent(luck)} by luck (two standard deviations); "
        f"runs above that: {above} of {len(found)}."
    )


def turning(results: Results) -> str:
    """Say when the test cost was lowest."""
    curves = [values_at(run.curves[TEST_COST]) for run in results[NAME]]
    turns = [min(curve, key=curve.__getitem__) for curve in curves]
    lowest = statistics.median(min(curve.values()) for curve in curves)
    last = median(results, NAME, TEST_COST)
    return (
        f"The cost on the test pictures is lowest, {lowest:.3f}, after {statistics.median(turns):.0f} iterations, "
        f"and {last:.3f} after the last{sentences.in_medians(results)}; it is measured every {PERIOD} iterations."
    )


EXPERIMENT = Experiment(
    name="cats-dogs-logistic",
    title="Logistic regression: cats and dogs",
    question=(
        "How far does a single layer get? It weighs every value of every pixel, adds them up, and calls the "
        "picture a dog if the sum is above 0. It begins from zeros and sees all pictures in every step, so that "
        f"nothing in it is left to chance. What the seeds vary is which {TRAINED_ON} of the 1000 pictures are "
        f"trained on: seed 0 takes the first {TRAINED_ON}, as the file has them, the others draw them."
    ),
    dataset=DATASET,
    settings={
        "data": (
            f"1000 photographs of 64x64 pixels, {TRAINED_ON} to train on, 200 to test on; 12288 inputs in [0, 1]"
        ),
        "optimizer": f"gradient descent, all examples at once, learning rate {LEARNING_RATE}",
        "iterations": str(ITERATIONS),
        "loss": "cross-entropy of one sigmoid output",
        "initial weights": "zeros",
    },
    rows=ROWS,
    quantities=QUANTITIES,
    source=(
        "A logistic regression written by hand as in the course 'Neural Networks and Deep Learning' "
        "(deeplearning.ai, 2017), on 1000 other pictures of the same collection: a single run."
    ),
    pictures=pictures,
    notes=notes,
    seeds=5,  # a run is slow: the 39 MB of its pictures come from memory twice in each of 10000 steps
    seconds={"numba": 35.1},
    links={
        "The course 'Neural Networks and Deep Learning'": "https://www.coursera.org/learn/neural-networks-deep-learning"
    },
)
