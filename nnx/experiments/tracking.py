"""Training that is measured on both parts of the data while it goes on."""

from __future__ import annotations

import time
from dataclasses import dataclass

from nnx.callbacks import Callback, Logs
from nnx.datasets import Dataset
from nnx.experiments.result import Result, thinned
from nnx.experiments.training import AFTER, BEFORE, SECONDS, TEST, TRAIN, Training, confusions
from nnx.model import Sequential
from nnx.training import Run

COST, TEST_COST, GAP = "cost", "test cost", "gap"


@dataclass(frozen=True)
class TrackedTraining(Training):
    """Training whose costs on both parts are measured every so many epochs, as of a finished network.

    What `fit` reports holds the L2 penalty and comes of what dropout left over; what is measured here does not, so
    that rows with and without them compare. The time that measuring takes is not counted.

    `Result.figures` holds besides: the test cost in nats, and the gap, training less test accuracy, in [-1, 1].
    `Result.curves` holds the cost and the test cost.

    Attributes:
        period: epochs from one measurement to the next; the last epoch is measured in any case.
    """

    period: int = 50

    def measure(self, model: Sequential, data: Dataset) -> Result:
        """See `Training.measure`."""
        (x, y), (x_test, y_test) = data
        track = Track(data, self.period)
        start = time.perf_counter()
        model.fit(x, y, epochs=self.epochs, batch_size=self.batch_size, callbacks=[track], progress=False)
        seconds = time.perf_counter() - start - track.seconds
        train, test = track.train[-1], track.test[-1]
        figures = {
            TRAIN: train["accuracy"],
            TEST: test["accuracy"],
            GAP: train["accuracy"] - test["accuracy"],
            BEFORE: track.train[0]["loss"],
            AFTER: train["loss"],
            TEST_COST: test["loss"],
            SECONDS: seconds,
        }
        curves = {
            COST: thinned(track.epochs, [logs["loss"] for logs in track.train]),
            TEST_COST: thinned(track.epochs, [logs["loss"] for logs in track.test]),
        }
        return Result(figures, curves, confusions(y_test, model.predict_classes(x_test), len(data.classes)))


class Track(Callback):
    """Measures both parts before training, every so many epochs, and after the last.

    Args:
        data: what to measure on.
        period: epochs from one measurement to the next.

    Attributes:
        epochs: after which epochs was measured, from 0.
        train, test: what `evaluate` said then.
        seconds: how long it took.
    """

    def __init__(self, data: Dataset, period: int) -> None:
        """Begin with nothing measured."""
        self.data, self.period = data, period
        self.epochs: list[int] = []
        self.train: list[Logs] = []
        self.test: list[Logs] = []
        self.seconds = 0.0

    def on_train_begin(self, run: Run) -> None:
        """See `Callback`."""
        self._look(run.model, 0)

    def on_epoch_end(self, run: Run, epoch: int, logs: Logs) -> None:
        """See `Callback`."""
        del logs
        done = epoch + 1
        if done % self.period == 0 or done == run.epochs:
            self._look(run.model, done)

    def _look(self, model: Sequential, epoch: int) -> None:
        start = time.perf_counter()
        self.epochs.append(epoch)
        self.train.append(model.evaluate(*self.data.train))
        self.test.append(model.evaluate(*self.data.test))
        self.seconds += time.perf_counter() - start
