"""One call of `fit`: its options, what callbacks see of it, and where it begins and ends."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

from nnx.history import History
from nnx.interrupts import before_training
from nnx.loop import Loop
from nnx.memory import check_training
from nnx.resumption import KeptRun, RunState
from nnx.shortage import has_ended, out_of_memory
from nnx.stored import AnyExamples, held

if TYPE_CHECKING:
    from nnx.callbacks import Callback
    from nnx.model import Sequential

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Options:
    """The options of one `Sequential.fit`, checked; their meaning stands there."""

    epochs: int
    batch_size: int | str
    shuffle: bool
    eager: bool
    progress: bool | None


@dataclass(frozen=True)
class Task:
    """What one call of `Sequential.fit` is to do.

    Attributes:
        model: built and compiled; training goes on from its weights.
        examples, validation: to train on, and to measure after each epoch if there are any.
        options: how.
        callbacks: whom to tell.
    """

    model: Sequential
    examples: AnyExamples
    validation: AnyExamples | None
    options: Options
    callbacks: list[Callback]

    @property
    def batch(self) -> int:
        """How many examples a step takes, where there are so many."""
        size = self.options.batch_size
        return self.examples.count if isinstance(size, str) else size

    @property
    def measured_batch(self) -> int:
        """How many examples validation takes at once."""
        return max(self.batch, 1024)


class Run:
    """One call of `fit`, as callbacks see it.

    Attributes:
        model: the model in training.
        history: what has been measured.
        epochs: how many epochs were asked for, those before an interruption included.
        rate_factor: what the schedule's learning rates are multiplied by; callbacks may change it.
        rate_override: a learning rate in place of the schedule's, or None; callbacks may change it.
        completed: whether training came to its end, be it an early one, without an error.
        ending: whether nothing more will be trained: what is not saved now is lost.
        saved: the file that `save` wrote last, or None.
        where: says between which steps the run stands, such as "after epoch 1 of 40, in the middle of epoch 2".
    """

    take_down: Callable[[], RunState]
    where: Callable[[], str]

    def __init__(self, model: Sequential, epochs: int) -> None:
        """Begin with an empty history."""
        self.model, self.epochs = model, epochs
        self.history = History()
        self.rate_factor = 1.0
        self.rate_override: float | None = None
        self.completed = False
        self.ending = False
        self.saved: Path | None = None

    def save(self, path: str | Path) -> None:
        """Write the model and the state of this run to a file that `fit(..., resume=path)` goes on from.

        To be called in `Callback.save` only: in other methods, some callbacks have not been told yet of where the
        run stands.

        Raises:
            OptionError, DivergenceError, StorageError: as `Sequential.save`.
            OptionError: what a callback remembers, or its options, are not JSON values.
        """
        from nnx.serialization import save

        save(self.model, path, run=self.take_down())
        self.saved = Path(path)
        _log.info("saved in %s: the run %s", path, self.where().rstrip(","))

    def check_savable(self) -> None:
        """Make sure, before any work is done, that the configuration and what callbacks remember can be saved.

        Raises:
            OptionError: they cannot.
        """
        from nnx.serialization import encode

        encode(self.model, None, self.take_down())

    def stop(self, reason: str) -> None:
        """End training after the step or epoch that is being reported."""
        self.history.stopped = reason

    @property
    def stopped(self) -> bool:
        """Whether a callback has ended training."""
        return bool(self.history.stopped)


class Team:
    """Who trains in one call of `fit`: this process alone; others make several processes do it together."""

    def together(self) -> AbstractContextManager[None]:
        """Get ready in the block, with the others if there are any."""
        return nullcontext()

    def read(self, read: Callable[[], KeptRun]) -> KeptRun | None:
        """Read a run that was kept."""
        return read()

    def loop(self, task: Task) -> Loop:
        """Return what does a task; the weights are left as they are.

        Raises:
            MemoryLimitError: there is no memory for it.
        """
        measured = None if task.validation is None else held(task.validation, task.measured_batch)
        check_training(task.model, held(task.examples, task.batch), measured, task.options.batch_size)
        return Loop(Run(task.model, task.options.epochs), task)

    def fit(self, loop: Loop, kept: KeptRun | None) -> History:
        """Train; see `fit`."""
        return fit(loop, kept)


def fit(loop: Loop, kept: KeptRun | None) -> History:
    """Train, from where a kept run stands if one is given; see `Sequential.fit`."""
    run = loop.run
    with (
        _logged_ending(run),
        _told_where_memory_ended(run, kept),
        ExitStack() as endings,
    ):  # every callback is told of the end, whatever another one raises
        for callback in reversed(loop.callbacks):
            endings.callback(callback.on_train_end, run)
        endings.callback(loop.close)
        begun = nullcontext() if kept is None else loop.keeper.going_on(kept)
        with before_training(), begun, loop.asking():
            for callback in loop.callbacks:
                callback.on_train_begin(run)
        _log_beginning(loop, kept)
        loop.run_epochs()
        run.completed = True
    return run.history


def _log_beginning(loop: Loop, kept: KeptRun | None) -> None:
    if kept is not None:
        _log.info("resumed from %s, %s", kept.path, loop.run.where().rstrip(","))
    model, batches = loop.model, loop.batches
    _log.info(
        "training of %d parameters on %s begins: %d examples in batches of %d, %d epochs",
        sum(prod(slot.shape) for slot in model.store.slots),
        model.backend.name,
        batches.count,
        batches.size,
        loop.run.epochs,
    )


@contextmanager
def _logged_ending(run: Run) -> Iterator[None]:
    """Log how training ended, and how long it took."""
    began, reason = time.perf_counter(), ""
    try:
        yield
        reason = f": {run.history.stopped}" if run.stopped else ""
    except BaseException as error:
        reason = f" with {type(error).__name__}"
        raise
    finally:
        done, seconds = run.history.epochs, time.perf_counter() - began
        _log.info("training ended after epoch %d of %d, %.3f s%s", done, run.epochs, seconds, reason)


@contextmanager
def _told_where_memory_ended(run: Run, kept: KeptRun | None) -> Iterator[None]:
    """Say which run found no room, and what is left of it.

    Raises:
        OutOfMemoryError: in place of a MemoryError of Python, or of a backend's own class.
    """
    backend = run.model.backend
    try:
        yield
    except Exception as error:
        if not has_ended(backend, error):
            raise
        saved = run.saved if kept is None else run.saved or kept.path
        remedy = "Train with a smaller batch_size, or a smaller network."
        if saved is not None:
            remedy = (
                f"The run stands in {str(saved)!r} as it was last saved: with more memory, or on another backend, "
                f"fit(..., resume={str(saved)!r}) goes on from it."
            )
        done = f"The model has done {run.history.epochs} of {run.epochs} epochs."
        raise out_of_memory(backend, error, f"{done} {remedy}") from error
