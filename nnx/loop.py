"""The training loop: epochs, batches, measurements, callbacks. No number is read back inside a step."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nnx import random
from nnx.divergence import Guard
from nnx.errors import OptionError
from nnx.inputs import Examples
from nnx.interrupts import put_off
from nnx.measurement import Measurement
from nnx.network import Snapshot, Weights
from nnx.pace import Pace
from nnx.progress import Bar, open_bar
from nnx.resumption import Checkpoint, RunState, check_position, check_same, describe, digest, restore_callbacks
from nnx.schedules import Constant, check_schedule
from nnx.steps import Batches, TrainingStep, summarise
from nnx.verification import make_runner

if TYPE_CHECKING:
    from nnx.callbacks import Callback
    from nnx.training import Options, Run


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
        self.runner = make_runner(self.model, self.step, self.batches, self.step.trace, options.eager)
        self.validation: Measurement | None = None
        if validation is not None:
            self.validation = Measurement(self.model, validation, max(size, 1024), options.eager)
        self._steps_before = 0  # steps of the epochs finished so far
        self._done = 0  # steps done in the epoch after them
        self._rates = np.zeros(self.batches.steps)
        self._guard = Guard(self.model, self.batches, self.runner, self.step.trace)
        self._savers = [callback for callback in callbacks if callback.saves]
        self._remembering = [callback for callback in callbacks if not callback.saves]
        self._pace = Pace()
        self._terms: dict[str, Any] = {}
        self._examples = {"examples": examples, "validation examples": validation}
        run.take_down = self.take_down

    def take_down(self) -> RunState:
        """Return where the run stands."""
        run, (losses, correct) = self.run, self.step.trace.read()
        return RunState(
            self._describe_terms(),
            run.history,
            self._done,
            self._steps_before,
            run.rate_factor,
            run.rate_override,
            [callback.state() for callback in self._remembering],
            [None if callback.kept is None else self._to_host(callback.kept) for callback in self._remembering],
            losses[: self._done],
            correct[: self._done],
        )

    def go_back_to(self, checkpoint: Checkpoint) -> None:
        """Put model and run where a checkpoint stands; the callbacks are reminded later, once they have begun.

        Raises:
            OptionError: it was made on other terms.
            FileFormatError: its parts do not fit together.
        """
        state, trace = checkpoint.run, self.step.trace
        check_same(checkpoint.path, state.options, self._describe_terms())
        check_position(checkpoint, self.batches.steps)
        self.model.from_host(checkpoint.weights)
        self.run.history = state.history
        self._done, self._steps_before = state.step, state.steps_before
        for held, values in ((trace.losses, state.losses), (trace.correct, state.correct)):
            held[: state.step] = self.model.backend.asarray(values, self.model.backend.dtype_name(held))

    def remind_callbacks(self, checkpoint: Checkpoint) -> None:
        """Give callbacks, and the learning rates that they change, what they had at the checkpoint.

        Raises:
            FileFormatError: a callback does not know its own memory again.
        """
        state = checkpoint.run
        self.run.rate_factor, self.run.rate_override = state.rate_factor, state.rate_override
        for callback, kept in zip(self._remembering, state.kept, strict=True):
            callback.kept = None if kept is None else self.model.snapshot_of(kept)
        restore_callbacks(checkpoint.path, self._remembering, state.callbacks)

    def _describe_terms(self) -> dict[str, Any]:
        """Return what must be the same for this run to go on; reading through all examples takes a while."""
        if not self._terms:
            digests = {name: digest(examples) for name, examples in self._examples.items()}
            self._terms = describe(self.batches.size, self.options.shuffle, self._remembering, digests)
        return self._terms

    def run_epochs(self) -> None:
        """Train until the last epoch, or until a callback stops it."""
        options, done = self.options, self.run.history.epochs
        with (
            open_bar(options.progress, options.epochs, self.batches.steps, done) as bar,
            put_off(bool(self._savers)) as self._interrupts,
        ):
            for number in range(done, options.epochs):
                if self.run.stopped:
                    return
                self._finish_epoch(number, bar)

    def _finish_epoch(self, number: int, bar: Bar) -> None:
        began = time.perf_counter()
        logs = self._run_epoch(bar)
        logs["seconds"] = time.perf_counter() - began
        self.run.history.append(logs)
        bar.show(logs)
        for callback in self.callbacks:
            callback.on_epoch_end(self.run, number, logs)
        self.run.ending = self.run.stopped or number + 1 == self.options.epochs
        self._save(self._savers)

    def _run_epoch(self, bar: Bar) -> dict[str, float]:
        start, measured = self._begin_epoch(), {}
        for stop in self._stops(start):
            self._run_steps(start, stop, bar)
            measured = self._measure_validation()
            self._report_steps(stop, measured)
            start = stop
            if self.run.stopped:
                break
        self._steps_before += start
        self._done = 0
        self.model.epoch += 1
        self._guard.check_weights(start)
        logs = summarise(self.model, self.batches, self.step.trace, 0, start)
        return {**logs, **measured, "learning_rate": float(self._rates[start - 1])}

    def _run_steps(self, start: int, stop: int, bar: Bar) -> None:
        for first, last in self._pieces(bar, start, stop):
            self.runner.run_range(self.batches, first, last)
            if last < stop and self._interrupts.number is not None:
                self._guard.check_losses(start, last)
                self._done = last
                self._save(())
        self._guard.check_losses(start, stop)
        self._done = stop

    def _pieces(self, bar: Bar, start: int, stop: int) -> Iterator[tuple[int, int]]:
        """Cut steps into ranges: short ones where signals are put off, so that they need not wait for long."""
        for first, last in bar.pieces(start, stop):
            yield from self._pace.pieces(first, last) if self._savers else ((first, last),)

    def _save(self, due: Sequence[Callback]) -> None:
        """Let callbacks save; all of them, and then end, if a signal has come.

        Raises:
            KeyboardInterrupt, SystemExit: what the signal stands for.
        """
        interrupted = self._interrupts.number is not None
        self.run.ending = self.run.ending or interrupted
        for callback in self._savers if interrupted else due:
            callback.save(self.run)
        if interrupted:
            raise self._interrupts.error()

    def _begin_epoch(self) -> int:
        """Send the order of the examples and the learning rates to the device; return the step to begin with."""
        model, batches = self.model, self.batches
        self._guard.begin_epoch(self._done)
        if self.options.shuffle and batches.steps > 1:
            stream = random.stream_of("shuffle")
            batches.reorder(random.permutation(batches.count, model.seed, stream, model.epoch))
        batches.restart(self._done)
        rates = self._epoch_rates()
        if not np.array_equal(rates, self._rates):
            self._rates = rates
            self.step.rates[...] = model.ops.asarray(rates)
        return self._done

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

    def _stops(self, start: int) -> Iterator[int]:
        """Yield the steps of this epoch after `start` at which callbacks are asked, and the last step."""
        steps, before = self.batches.steps, self._steps_before
        intervals = {callback.every for callback in self.callbacks if callback.every}
        due = (range(interval - before % interval, steps, interval) for interval in intervals)
        yield from (step for step in sorted(set().union(*due)) if step > start)
        yield steps

    def _measure_validation(self) -> dict[str, float]:
        if self.validation is None:
            return {}
        return {f"val_{name}": value for name, value in self.validation.measure().items()}

    def _report_steps(self, stop: int, measured: dict[str, float]) -> None:
        done = self._steps_before + stop
        due = [callback for callback in self.callbacks if callback.every and done % callback.every == 0]
        for callback in due:
            start = max(stop - (callback.every or 0), 0)  # the trace goes back to the beginning of the epoch
            logs = summarise(self.model, self.batches, self.step.trace, start, stop)
            callback.on_steps(self.run, done, {**logs, **measured})
        if stop < self.batches.steps and not self.run.stopped:
            self._save([callback for callback in due if callback.saves])

    def _to_host(self, kept: Snapshot) -> Weights:
        return Weights(tuple(self.model.backend.to_numpy(array) for array in kept.arrays), kept.epoch)
