"""The training loop: epochs, batches, measurements, callbacks. No number is read back inside a step."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nnx import random
from nnx.divergence import Guard
from nnx.errors import DataError, OptionError
from nnx.history import History
from nnx.inputs import Examples
from nnx.progress import Bar, open_bar
from nnx.schedules import Constant, check_schedule
from nnx.steps import Batches, Measurement, Runner, TrainingStep, summarise

if TYPE_CHECKING:
    from nnx.callbacks import Callback
    from nnx.model import Sequential


@dataclass(frozen=True)
class Options:
    """The options of one `Sequential.fit`, checked; their meaning stands there."""

    epochs: int
    batch_size: int | str
    shuffle: bool
    eager: bool
    progress: bool | None


class Run:
    """One call of `fit`, as callbacks see it.

    Attributes:
        model: the model in training.
        history: what has been measured.
        epochs: how many epochs were asked for.
        rate_factor: what the schedule's learning rates are multiplied by; callbacks may change it.
        rate_override: a learning rate in place of the schedule's, or None; callbacks may change it.
        completed: whether training came to its end, be it an early one, without an error.
    """

    def __init__(self, model: Sequential, epochs: int) -> None:
        """Begin with an empty history."""
        self.model, self.epochs = model, epochs
        self.history = History()
        self.rate_factor = 1.0
        self.rate_override: float | None = None
        self.completed = False

    def stop(self, reason: str) -> None:
        """End training after the step or epoch that is being reported."""
        self.history.stopped = reason

    @property
    def stopped(self) -> bool:
        """Whether a callback has ended training."""
        return bool(self.history.stopped)


def fit(
    model: Sequential,
    examples: Examples,
    validation: Examples | None,
    options: Options,
    callbacks: list[Callback],
) -> History:
    """Train a built and compiled model; see `Sequential.fit`."""
    run = Run(model, options.epochs)
    loop = Loop(run, examples, validation, options, callbacks)
    with ExitStack() as endings:  # every callback is told of the end, whatever another one raises
        for callback in reversed(callbacks):
            endings.callback(callback.on_train_end, run)
        for callback in callbacks:
            callback.on_train_begin(run)
        loop.run_epochs()
        run.completed = True
    return run.history


def split(examples: Examples, share: float, seed: int) -> tuple[Examples, Examples]:
    """Set a share of the examples aside, drawn by the seed.

    Raises:
        DataError: one of the two parts would be empty.
    """
    count = examples.x.shape[0]
    held_out = round(count * share)
    if not 0 < held_out < count:
        raise DataError(
            f"validation_split={share:g} of {count} examples leaves {count - held_out} to train on "
            f"and {held_out} to validate on; both must be at least 1."
        )
    order = random.permutation(count, seed, random.stream_of("validation_split"))
    return examples.rows(np.sort(order[held_out:])), examples.rows(np.sort(order[:held_out]))


class Loop:
    """What one call of `fit` needs from its first epoch to its last."""

    def __init__(
        self,
        run: Run,
        examples: Examples,
        validation: Examples | None,
        options: Options,
        callbacks: list[Callback],
    ) -> None:
        """Transfer the data once and prepare the step."""
        self.run, self.model, self.options, self.callbacks = run, run.model, options, callbacks
        ops, count = self.model.ops, examples.x.shape[0]
        size = count if isinstance(options.batch_size, str) else options.batch_size
        self.batches = Batches(ops, examples, size)
        self.step = TrainingStep(self.model, self.batches)
        self.runner = Runner(ops, self.step, options.eager)
        self.validation: Measurement | None = None
        if validation is not None:
            self.validation = Measurement(self.model, validation, max(size, 1024), options.eager)
        self._steps_before = 0  # steps of the epochs finished so far
        self._rates = np.zeros(self.batches.steps)
        self._guard = Guard(self.model, self.batches, self.runner, self.step.trace)

    def run_epochs(self) -> None:
        """Train until the last epoch, or until a callback stops it."""
        with open_bar(self.options.progress, self.options.epochs, self.batches.steps) as bar:
            for number in range(self.options.epochs):
                began = time.perf_counter()
                logs = self._run_epoch(bar)
                logs["seconds"] = time.perf_counter() - began
                self.run.history.append(logs)
                bar.show(logs)
                for callback in self.callbacks:
                    callback.on_epoch_end(self.run, number, logs)
                if self.run.stopped:
                    return

    def _run_epoch(self, bar: Bar) -> dict[str, float]:
        self._guard.begin_epoch()
        self._begin_epoch()
        start, measured = 0, {}
        for stop in self._stops():
            for first, last in bar.pieces(start, stop):
                self.runner.run_range(self.batches, first, last)
            self._guard.check_losses(start, stop)
            measured = self._measure_validation()
            self._report_steps(stop, measured)
            start = stop
            if self.run.stopped:
                break
        self._steps_before += start
        self.model.epoch += 1
        self._guard.check_weights(start)
        logs = summarise(self.model, self.batches, self.step.trace, 0, start)
        return {**logs, **measured, "learning_rate": float(self._rates[start - 1])}

    def _begin_epoch(self) -> None:
        """Send the order of the examples and the learning rates of all steps to the device."""
        model, batches = self.model, self.batches
        if self.options.shuffle and batches.steps > 1:
            stream = random.stream_of("shuffle")
            batches.reorder(random.permutation(batches.count, model.seed, stream, model.epoch))
        batches.restart()
        rates = self._epoch_rates()
        if not np.array_equal(rates, self._rates):
            self._rates = rates
            self.step.rates[...] = model.ops.asarray(rates)

    def _epoch_rates(self) -> NDArray[np.float64]:
        steps, run = self.batches.steps, self.run
        if run.rate_override is not None:
            return np.full(steps, run.rate_factor * run.rate_override)
        schedule = check_schedule(self.model.optimizer.learning_rate)
        if isinstance(schedule, Constant):
            return np.full(steps, run.rate_factor * schedule.rate)
        rates = np.array([schedule(self.model.epoch + batch / steps) for batch in range(steps)], np.float64)
        if not (np.isfinite(rates) & (rates >= 0)).all():
            worst = rates[~(np.isfinite(rates) & (rates >= 0))][0]
            raise OptionError(f"learning_rate must give finite rates of at least 0, got {worst:g} of {schedule!r}.")
        return run.rate_factor * rates

    def _stops(self) -> Iterator[int]:
        """Yield the steps of this epoch after which callbacks are asked, the last step among them."""
        steps, before = self.batches.steps, self._steps_before
        intervals = {callback.every for callback in self.callbacks if callback.every}
        due = (range(interval - before % interval, steps, interval) for interval in intervals)
        yield from sorted(set().union(*due))
        yield steps

    def _measure_validation(self) -> dict[str, float]:
        if self.validation is None:
            return {}
        return {f"val_{name}": value for name, value in self.validation.measure().items()}

    def _report_steps(self, stop: int, measured: dict[str, float]) -> None:
        done = self._steps_before + stop
        for callback in self.callbacks:
            if callback.every and done % callback.every == 0:
                start = max(stop - callback.every, 0)  # the trace goes back to the beginning of the epoch
                logs = summarise(self.model, self.batches, self.step.trace, start, stop)
                callback.on_steps(self.run, done, {**logs, **measured})
