"""Callbacks that write files."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from nnx.callbacks.base import Callback, Logs, Monitor
from nnx.files import check_model_target, check_target, storing, told_in_a_sentence

if TYPE_CHECKING:
    from nnx.training import Run


class ModelCheckpoint(Callback):
    """Save the model after every epoch, or after those that are the best so far.

    Args:
        path: the file, replaced as a whole each time.
        monitor: save only when this measurement is the best so far; None for always.
    """

    def __init__(self, path: str | Path, *, monitor: str | None = None) -> None:
        """Check that the folder is there, before any work is done.

        Raises:
            OptionError: path is a folder, in none that exists, or of the ending of another format.
        """
        self.path = check_model_target(path)
        self.monitor = None if monitor is None else Monitor(monitor)

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

    def config(self) -> None:
        """See `Callback`; training does not depend on it."""

    def on_train_begin(self, run: Run) -> None:
        """See `Callback`; of a run that goes on, the rows of the epochs before stay, and no others."""
        with storing(self.path) as part, part.open("w", newline="", encoding="utf-8") as begun:
            begun.writelines(self._rows(run.history.epochs))
        self._file = self.path.open("a", newline="", encoding="utf-8")

    def _rows(self, epochs: int) -> list[str]:
        """Return the heading and the rows of so many epochs, as far as they are there."""
        if not epochs or not self.path.exists():
            return []
        with self.path.open(newline="", encoding="utf-8") as file:
            return list(islice(file, epochs + 1))

    def on_epoch_end(self, run: Run, epoch: int, logs: Logs) -> None:
        """See `Callback`.

        Raises:
            StorageError: the row cannot be written, because the disk is full, for example.
        """
        del run
        if self._file is not None:
            with told_in_a_sentence(self.path):
                self._write_row(self._file, epoch, logs)

    @staticmethod
    def _write_row(file: TextIO, epoch: int, logs: Logs) -> None:
        writer = csv.writer(file)
        if file.tell() == 0:
            writer.writerow(["epoch", *logs])
        writer.writerow([epoch + 1, *logs.values()])
        file.flush()

    def on_train_end(self, run: Run) -> None:
        """See `Callback`."""
        del run
        if self._file is not None:
            self._file.close()
            self._file = None
