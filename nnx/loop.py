"""The training loop: epochs, batches, measurements, callbacks. No number is read back inside a step."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nnx.callbacks import check_added
from nnx.divergence import Guard
from nnx.errors import DataError, DtypeError, OptionError, ShapeError, StorageError
from nnx.interrupts import Interrupts, put_off
from nnx.measurement import Measurement
from nnx.ops import Ops
from nnx.pace import Pace
from nnx.progress import Bar, open_bar
from nnx.resumption import Keeper
from nnx.schedules import Constant, check_schedule
from nnx.steps import Runner, Trace, TrainingStep, make_batches, summarise
from nnx.verification import make_runner

if TYPE_CHECKING:
    from nnx.callbacks import Callback
    from nnx.model import Sequential
    from nnx.training import Run, Task


@dataclass(frozen=True)
class Parts:
    """What a loop is made of; several processes that train together have others."""

    batches: Callable[[Ops, Any, int], Any] = make_batches
    step: Callable[[Sequential, Any], TrainingStep] = TrainingStep
    runner: Callable[[Sequential, TrainingStep, Any, Trace, bool], Runner] = make_runner
    measurement: Callable[[Sequential, Any, int, bool], Measurement] = Measurement
    guard: Callable[[Sequential, Any, Runner, Trace], Guard] = Guard


class Loop:
    """What one call of `fit` needs from its first epoch to its last."""

    parts = Parts()

    def __init__(self, run: Run, task: Task) -> None:
        """Transfer the data once and prepare the step."""
        options, callbacks, validation = task.options, task.callbacks, task.validation
        self.run, self.model, self.options, self.callbacks = run, task.model, options, callbacks
        self.batches = self.parts.batches(self.model.ops, task.examples, task.batch)
        self.step = self.parts.step(self.model, self.batches)
        self.runner = self.parts.runner(self.model, self.step, self.batches, self.step.trace, options.eager)
        self.validation: Measurement | None = None
        if validation is not None:
            self.validation = self.parts.measurement(self.model, validation, task.measured_batch, options.eager)
        self._rates = np.zeros(self.batches.steps)
        self._guard = self.parts.guard(self.model, self.batches, self.runner, self.step.trace)
        self._savers = [callback for callback in callbacks if callback.saves]
        self._pace = Pace()
        terms = {"shuffle": options.shuffle, "examples": task.examples, "validation examples": validation}
        self.keeper = Keeper(run, self.batches, self.step.trace, callbacks, terms)
        run.take_down, run.where = self.keeper.take_down, self.keeper.where

    def close(self) -> None:
        """Leave nothing that goes on by itself."""
        self.batches.close()
        if self.validation is not None:
            self.validation.close()

    def run_epochs(self) -> None:
        """Train until the last epoch, or until a callback stops it.

        Raises:
            KeyboardInterrupt, SystemExit: a signal came while callbacks were to save the run.
            MemoryError, or what else says so: there was no room for what came next. An epoch that had begun is
                undone; one that had been trained stands.
        """
        options, done = self.options, self.run.history.epochs
        if self._savers:
            self.run.check_savable()
        with (
            open_bar(options.progress, options.epochs, self.batches.steps, done) as bar,
            self.put_off() as self._interrupts,
        ):
            for number in range(done, options.epochs):
                if self.run.stopped:
                    break
                self._finish_epoch(number, bar)
            self.hand_on()

    def put_off(self) -> AbstractContextManager[Interrupts]:
        """Put signals off while the block runs, if something is to be saved then."""
        return put_off(bool(self._savers))

    def asking(self) -> AbstractContextManager[None]:
        """Ask callbacks in the block; several processes that train together agree there on what these have done."""
        return nullcontext()

    @contextmanager
    def _undone_without_memory(self) -> Iterator[None]:
        """Undo the steps of the epoch if the block finds no room: one of them may have been done in part."""
        try:
            yield
        except Exception as error:
            if self.model.backend.ran_out(error):
                self._guard.undo_epoch()
            raise

    @contextmanager
    def _undone_without_data(self) -> Iterator[None]:
        """Undo the epoch if the block finds no data, or none to train on, in a file: its steps are not complete."""
        try:
            yield
        except (DataError, DtypeError, ShapeError, StorageError):
            self._guard.undo_epoch()
            raise

    def _finish_epoch(self, number: int, bar: Bar) -> None:
        began = time.perf_counter()
        with self._undone_without_memory():
            logs = self._run_epoch(bar)
        logs["seconds"] = time.perf_counter() - began
        self.run.history.append(logs)
        bar.show(logs)
        with self.asking():
            for callback in self.callbacks:
                known = dict(logs)
                callback.on_epoch_end(self.run, number, logs)
                self.run.history.add(check_added(callback, known, logs))
            self.run.history.fill()
        self.run.ending = self.run.stopped or number + 1 == self.options.epochs
        self._save(self._savers)

    def _run_epoch(self, bar: Bar) -> dict[str, float]:
        start, measured = self._begin_epoch(), {}
        for stop in self._stops(start):
            self._run_steps(start, stop, bar)
            measured = self._report_steps(stop)
            start = stop
            if self.run.stopped:
                break
        self._guard.check_state(start)
        logs = summarise(self.model, self.batches, self.step.trace, 0, start)
        measured = measured or self._measure_validation()
        position = self.keeper.position  # last, since nothing before it may have found no room
        position.steps_before, position.step = position.steps_before + start, 0
        self.model.epoch += 1
        return {**logs, **measured, "learning_rate": float(self._rates[start - 1])}

    def _run_steps(self, start: int, stop: int, bar: Bar) -> None:
        for first, last in self.pieces(bar, start, stop):
            with self._undone_without_data():
                self.runner.run_range(self.batches, first, last)
            self.keeper.position.step = last
            if last < stop and self._interrupts.number is not None:
                self._guard.check_losses(start, last)
                self._guard.check_state(last)
                self._save(())
        self._guard.check_losses(start, stop)

    def pieces(self, bar: Bar, start: int, stop: int) -> Iterator[tuple[int, int]]:
        """Cut steps into ranges: short ones where signals are put off, so that they need not wait for long."""
        for first, last in bar.pieces(start, stop):
            yield from self._pace.pieces(first, last) if self._savers else ((first, last),)

    def _save(self, due: Sequence[Callback]) -> None:
        """Let callbacks save; all of them, and then do what the signal stands for, if one has come."""
        if self._interrupts.number is None:
            for callback in due:
                callback.save(self.run)
            return
        ending, self.run.ending = self.run.ending, True
        for callback in self._savers:
            callback.save(self.run)
        self.hand_on()
        self.run.ending = ending

    def hand_on(self) -> None:
        """Do what a signal that has come stands for; see `Interrupts.hand_on`."""
        self._interrupts.hand_on(self.farewell())

    def farewell(self) -> str:
        """Return what an interruption says: where the run stands, if it was saved."""
        run = self.run
        on = f"fit(..., resume={str(run.saved)!r}), or with the same nnx train command"
        return (
            "interrupted" if run.saved is None else f"saved {run.where()} in {run.saved}; go on from it with {on}"
        )

    def _begin_epoch(self) -> int:
        """Send the order of the examples and the learning rates to the device; return the step to begin with."""
        model, batches, position = self.model, self.batches, self.keeper.position
        self._guard.begin_epoch(position.step)
        if self.options.shuffle:
            batches.shuffle(model.seed, model.epoch)
        batches.restart(position.step)
        if position.step == 0:  # what callbacks change within an epoch is for the next one
            position.epoch_factor, position.epoch_override = self.run.rate_factor, self.run.rate_override
        rates = self._epoch_rates()
        if not np.array_equal(rates, self._rates):
            self._rates = rates
            self.step.rates[...] = model.ops.asarray(rates)
        return position.step

    def _epoch_rates(self) -> NDArray[np.float64]:
        steps, position = self.batches.steps, self.keeper.position
        factor, override = position.epoch_factor, position.epoch_override
        schedule = check_schedule(self.model.optimizer.learning_rate if override is None else override)
        if isinstance(schedule, Constant):
            rates = np.full(steps, schedule.rate)
        else:
            rates = np.array([schedule(self.model.epoch + batch / steps) for batch in range(steps)], np.float64)
        rates, named = factor * rates, f"{schedule!r}{'' if factor == 1 else f' times {factor:g}'}"
        if not (np.isfinite(rates) & (rates >= 0)).all():
            worst = rates[~(np.isfinite(rates) & (rates >= 0))][0]
            raise OptionError(f"learning_rate must give finite rates of at least 0, got {worst:g} of {named}.")
        return rates

    def _stops(self, start: int) -> Iterator[int]:
        """Yield the steps of this epoch after `start` at which callbacks are asked, and the last step."""
        steps, before = self.batches.steps, self.keeper.position.steps_before
        intervals = {callback.every for callback in self.callbacks if callback.every}
        due = (range(interval - before % interval, steps, interval) for interval in intervals)
        yield from (step for step in sorted(set().union(*due)) if step > start)
        yield steps

    def _measure_validation(self) -> dict[str, float]:
        if self.validation is None:
            return {}
        return {f"val_{name}": value for name, value in self.validation.measure().items()}

    def _report_steps(self, stop: int) -> dict[str, float]:
        """Ask the callbacks that are due after a step; return what was measured for them."""
        done = self.keeper.position.steps_before + stop
        due = [callback for callback in self.callbacks if callback.every and done % callback.every == 0]
        savers = [callback for callback in due if callback.saves]
        if savers:
            self._guard.check_state(stop)
        watchers = [callback for callback in due if callback.watches_steps]
        measured = self._measure_validation() if watchers else {}
        with self.asking() if watchers else nullcontext():
            for callback in watchers:
                start = max(stop - (callback.every or 0), 0)  # the trace goes back to the beginning of the epoch
                logs = summarise(self.model, self.batches, self.step.trace, start, stop)
                callback.on_steps(self.run, done, {**logs, **measured})
        if stop < self.batches.steps and not self.run.stopped:
            self._save(savers)
        return measured
