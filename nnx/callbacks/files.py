"""Callbacks that write files."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from nnx.callbacks.base import Callback, Logs, Monitor
from nnx.errors import OptionError
from nnx.files import check_model_target, check_target, storing, told_in_a_sentence

if TYPE_CHECKING:
    from nnx.training import Run


class ModelCheckpoint(Callback):
    """Save the model after every epoch, or after those that are the best so far.

    Args:
        path: the file, replaced as a whole each time.
        monitor: save only when this measurement is the best so far, such as "val_loss", or one that a callback
            before this one puts into the logs; None for always.
        mode: "max" if larger values are better, "min" if smaller ones are; "auto" for accuracies and losses.
    """

    def __init__(self, path: str | Path, *, monitor: str | None = None, mode: str = "auto") -> None:
        """Check that the folder is there, before any work is done.

        Raises:
            OptionError: path is a folder, in none that exists, or of the ending of another format; or the monitor's
                name does not tell which values are better.
        """
        self.path = check_model_target(path)
        self.monitor = None if monitor is None else Monitor(monitor, mode=mode)

    def config(self) -> dict[str, Any]:
        """See `Callback`."""
        return {} if self.monitor is None else self.monitor.config()

    def on_train_begin(self, run: Run) -> None:
        """See `Callback`."""
        del run
        if self.monitor is not None:
            self.monitor.reset()

    def state(self) -> dict[str, Any]:
        """See `Callback`."""
        return {} if self.monitor is None else self.monitor.state()

    def restore(self, state: Mapping[str, Any]) -> None:
        """See `Callback`."""
        if self.monitor is not None:
            self.monitor.restore(state)

    def on_epoch_end(self, run: Run, epoch: int, logs: Logs) -> None:
        """See `Callback`."""
        del epoch
        if self.monitor is None or self.monitor.improved(logs):
            run.model.save(self.path)


class CSVLogger(Callback):
    """Write the measurements of each epoch as a row of a CSV file, at once, so that nothing is lost in a crash.

    Its columns are the measurements of the first epoch, with those that callbacks before it put into the logs.

    Args:
        path: the file, replaced when training begins, unless it goes on from a checkpoint.
    """

    def __init__(self, path: str | Path) -> None:
        """Check that the folder is there, before any work is done.

        Raises:
            OptionError: path is a folder, or in none that exists.
        """
        self.path = check_target(path)
        self._file: TextIO | None = None
        self._names: list[str] = []

    def config(self) -> None:
        """See `Callback`; training does not depend on it."""

    def on_train_begin(self, run: Run) -> None:
        """See `Callback`; of a run that goes on, the rows of the epochs before stay, and no others."""
        rows = self._rows(run.history.epochs)
        self._names = next(csv.reader(rows), [])[1:]
        with storing(self.path) as part, part.open("w", newline="", encoding="utf-8") as begun:
            begun.writelines(rows)
        self._file = self.path.open("a", newline="", encoding="utf-8")

    def _rows(self, epochs: int) -> list[str]:
        """Return the heading and the rows of so many epochs, as far as they are there."""
        if not epochs or not self.path.exists():
            return []
        with self.path.open(newline="", encoding="utf-8") as file:
            return list(islice(file, epochs + 1))

    def on_epoch_end(self, run: Run, epoch: int, logs: Logs) -> None:
        """See `Callback`; what the first epoch measured and this one did not is NaN.

        Raises:
            OptionError: a callback has put a measurement into logs that the first epoch did not have.
            StorageError: the row cannot be written, because the disk is full, for example.
        """
        del run
        if self._file is not None:
            with told_in_a_sentence(self.path):
                self._write_row(self._file, epoch, logs)

    def _write_row(self, file: TextIO, epoch: int, logs: Logs) -> None:
        writer = csv.writer(file)
        if file.tell() == 0:
            self._names = list(logs)
            writer.writerow(["epoch", *logs])
        late = [name for name in logs if name not in self._names]
        if late:
            raise OptionError(
                f"{late[0]!r} came into logs in epoch {epoch + 1}, but CSVLogger's table was begun without it. "
                "Put a number there in every epoch, NaN where none was measured."
            )
        writer.writerow([epoch + 1, *(logs.get(name, math.nan) for name in self._names)])
        file.flush()

    def on_train_end(self, run: Run) -> None:
        """See `Callback`."""
        del run
        if self._file is not None:
            self._file.close()
            self._file = None
