"""Callbacks: what `fit` asks after every epoch, or after every so many steps."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from nnx.checks import check_count, check_number
from nnx.errors import DataError, OptionError

if TYPE_CHECKING:
    from nnx.network import Snapshot
    from nnx.training import Run

Logs = Mapping[str, float]


class Callback:
    """Base of all callbacks; override what you need.

    Attributes:
        every: ask `on_steps` after every so many training steps; None for never.
    """

    every: int | None = None

    def on_train_begin(self, run: Run) -> None:
        """Called before the first epoch."""

    def on_steps(self, run: Run, step: int, logs: Logs) -> None:
        """Called every `every` steps, with the number of steps done in this `fit`, and the measurements of
        those since the last call that belong to this epoch.
        """

    def on_epoch_end(self, run: Run, epoch: int, logs: Logs) -> None:
        """Called after each epoch, counted from 0 in this `fit`, with its measurements."""

    def on_train_end(self, run: Run) -> None:
        """Called after the last epoch, and also when training ends by an error."""


class Monitor:
    """Follows one measurement and remembers its best value.

    Args:
        name: a measurement such as "val_loss".
        min_delta: by how much a value must be better to count, >= 0.
    """

    def __init__(self, name: str, min_delta: float = 0.0) -> None:
        """Begin without a best value."""
        if not isinstance(name, str):
            raise OptionError(f"monitor must be the name of a measurement such as 'val_loss', got {name!r}.")
        self.name, self.min_delta = name, check_number("min_delta", min_delta, 0)
        self.reset()

    def reset(self) -> None:
        """Forget the best value."""
        self.best, self.waited = math.nan, 0

    def improved(self, logs: Logs) -> bool:
        """Take the newest value and tell whether it is the best so far; count how long none was.

        Raises:
            DataError: there is no such measurement.
        """
        if self.name not in logs:
            hint = " Give fit validation_data or validation_split." if self.name.startswith("val_") else ""
            raise DataError(f"monitor {self.name!r} is not measured; there are {', '.join(sorted(logs))}.{hint}")
        value = logs[self.name]
        gain = value - self.best if self.name.endswith("accuracy") else self.best - value
        if not math.isnan(value) and (math.isnan(self.best) or gain > self.min_delta):
            self.best, self.waited = value, 0
            return True
        self.waited += 1
        return False


class EarlyStopping(Callback):
    """End training when a measurement has not become better for a while.

    Accuracies are better when larger, everything else when smaller. The best weights are put back when
    training ends, whether it was stopped or reached its last epoch.

    Args:
        monitor: the measurement, such as "val_loss" or "val_accuracy".
        min_delta: by how much it must be better to count, >= 0.
        patience: how many looks in a row without an improvement are borne, >= 1.
        every: look after every so many training steps; None for after every epoch.
        restore_best_weights: whether to put the best weights back.
    Source: Prechelt 1998.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        *,
        min_delta: float = 0.0,
        patience: int = 10,
        every: int | None = None,
        restore_best_weights: bool = True,
    ) -> None:
        """Check the options."""
        self.monitor, self.patience = Monitor(monitor, min_delta), check_count("patience", patience)
        self.every = None if every is None else check_count("every", every)
        self.restore_best_weights = restore_best_weights
        self._best: Snapshot | None = None

    def on_train_begin(self, run: Run) -> None:
        """See `Callback`."""
        del run
        self.monitor.reset()
        self._best = None

    def on_steps(self, run: Run, step: int, logs: Logs) -> None:
        """See `Callback`."""
        self._look(run, f"step {step}", logs)

    def on_epoch_end(self, run: Run, epoch: int, logs: Logs) -> None:
        """See `Callback`."""
        if self.every is None:
            self._look(run, f"epoch {epoch + 1}", logs)

    def _look(self, run: Run, moment: str, logs: Logs) -> None:
        if self.monitor.improved(logs):
            self._best = run.model.snapshot() if self.restore_best_weights else None
        elif self.monitor.waited >= self.patience:
            name, best = self.monitor.name, self.monitor.best
            run.stop(f"{name} was not better than {best:.4g} for {self.patience} looks, last at {moment}")

    def on_train_end(self, run: Run) -> None:
        """See `Callback`."""
        if self._best is not None and run.completed:  # a run that diverged keeps its last good step instead
            run.model.restore(self._best)
        self._best = None


class ModelCheckpoint(Callback):
    """Save the model after every epoch, or after those that are the best so far.

    Args:
        path: the file, replaced as a whole each time.
        monitor: save only when this measurement is the best so far; None for always.
    """

    def __init__(self, path: str | Path, *, monitor: str | None = None) -> None:
        """Check that the folder is there, before any work is done.

        Raises:
            OptionError: the folder does not exist.
        """
        self.path = Path(path)
        self.monitor = None if monitor is None else Monitor(monitor)
        _check_folder(self.path)

    def on_train_begin(self, run: Run) -> None:
        """See `Callback`."""
        del run
        if self.monitor is not None:
            self.monitor.reset()

    def on_epoch_end(self, run: Run, epoch: int, logs: Logs) -> None:
        """See `Callback`."""
        del epoch
        if self.monitor is None or self.monitor.improved(logs):
            run.model.save(self.path)


class CSVLogger(Callback):
    """Write the measurements of each epoch as a row of a CSV file, at once, so that nothing is lost in a crash.

    Args:
        path: the file, replaced when training begins.
    """

    def __init__(self, path: str | Path) -> None:
        """Check that the folder is there, before any work is done.

        Raises:
            OptionError: the folder does not exist.
        """
        self.path = Path(path)
        self._file: TextIO | None = None
        _check_folder(self.path)

    def on_train_begin(self, run: Run) -> None:
        """See `Callback`."""
        del run
        self._file = self.path.open("w", newline="", encoding="utf-8")

    def on_epoch_end(self, run: Run, epoch: int, logs: Logs) -> None:
        """See `Callback`."""
        del run
        if self._file is not None:
            writer = csv.writer(self._file)
            if epoch == 0:
                writer.writerow(["epoch", *logs])
            writer.writerow([epoch + 1, *logs.values()])
            self._file.flush()

    def on_train_end(self, run: Run) -> None:
        """See `Callback`."""
        del run
        if self._file is not None:
            self._file.close()
            self._file = None


class LearningRateScheduler(Callback):
    """Take the learning rate of each epoch from a function of its number, instead of the optimizer's.

    Args:
        function: maps the number of the epoch, from 0 in this `fit`, to a learning rate >= 0.
    """

    def __init__(self, function: Callable[[int], float]) -> None:
        """Keep the function."""
        self.function = function

    def on_train_begin(self, run: Run) -> None:
        """See `Callback`."""
        run.rate_override = check_number("learning rate", self.function(0), 0)

    def on_epoch_end(self, run: Run, epoch: int, logs: Logs) -> None:
        """See `Callback`."""
        del logs
        if epoch + 1 < run.epochs:  # the function may know no more epochs than there are
            run.rate_override = check_number("learning rate", self.function(epoch + 1), 0)


class ReduceLROnPlateau(Callback):
    """Multiply the learning rate by a factor when a measurement has not become better for a while.

    Args:
        monitor: the measurement, such as "val_loss".
        factor: what the rate is multiplied by, in (0, 1).
        patience: how many epochs in a row without an improvement are borne, >= 1.
        min_delta: by how much it must be better to count, >= 0.
        min_factor: the product of all factors does not fall below this, in [0, 1).
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        *,
        factor: float = 0.1,
        patience: int = 10,
        min_delta: float = 0.0,
        min_factor: float = 0.0,
    ) -> None:
        """Check the options."""
        self.monitor, self.patience = Monitor(monitor, min_delta), check_count("patience", patience)
        self.factor = check_number("factor", factor, 0, 1, open_low=True)
        self.min_factor = check_number("min_factor", min_factor, 0, 1)

    def on_train_begin(self, run: Run) -> None:
        """See `Callback`."""
        del run
        self.monitor.reset()

    def on_epoch_end(self, run: Run, epoch: int, logs: Logs) -> None:
        """See `Callback`."""
        del epoch
        if not self.monitor.improved(logs) and self.monitor.waited >= self.patience:
            run.rate_factor = max(run.rate_factor * self.factor, self.min_factor)
            self.monitor.waited = 0


def check_callbacks(callbacks: Iterable[Callback]) -> list[Callback]:
    """Return the callbacks as a list.

    Raises:
        OptionError: one callback in place of a list of them, or something that is none.
    """
    if isinstance(callbacks, Callback):
        raise OptionError(f"callbacks must be a list of nnx callbacks, got a single {type(callbacks).__name__}.")
    checked = list(callbacks)
    for callback in checked:
        if not isinstance(callback, Callback):
            raise OptionError(
                f"callbacks must be nnx callbacks, got {callback!r}; subclass nnx.callbacks.Callback."
            )
    return checked


def _check_folder(path: Path) -> None:
    if not path.parent.is_dir():
        raise OptionError(
            f"path must lie in a folder that exists, got {str(path)!r}; make {str(path.parent)!r} first."
        )
