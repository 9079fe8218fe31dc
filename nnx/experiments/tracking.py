"""Training whose costs on both parts of the data are followed while it goes on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from nnx.datasets.dataset import Split
from nnx.experiments.result import Result
from nnx.experiments.training import AFTER, TEST, TRAIN, Training
from nnx.experiments.watching import Watch
from nnx.model import Sequential

COST, TEST_COST, GAP = "cost", "test cost", "gap"


@dataclass(frozen=True)
class TrackedTraining(Training):
    """Training whose costs on both parts are measured every so many epochs, as of a finished network.

    What `fit` reports holds the L2 penalty and comes of what dropout left over; what is measured here does not, so
    that rows with and without them compare.

    `Result.figures` holds besides: the test cost in nats, and the gap, training less test accuracy, in [-1, 1].
    `Result.curves` holds the cost and the test cost.

    Attributes:
        period: epochs from one measurement to the next; the last epoch is measured in any case.
    """

    period: int = 50

    def watch(self, parts: Mapping[str, Split]) -> Watch:
        """See `Training.watch`."""
        steps = self.steps_per_epoch(parts)
        return Watch(parts, self.period * steps, steps)

    def found(self, model: Sequential, watch: Watch) -> Result:
        """See `Training.found`."""
        del model
        train, test = (watch.looks[-1].parts[name] for name in (TRAIN, TEST))
        figures = {GAP: train["accuracy"] - test["accuracy"], AFTER: train["loss"], TEST_COST: test["loss"]}
        curves = {COST: watch.curve(TRAIN, "loss"), TEST_COST: watch.curve(TEST, "loss")}
        return Result(figures, curves)
