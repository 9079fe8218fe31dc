"""The progress bar of `fit`: silent when output is not a terminal, and never more than a few updates per epoch."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

PIECES = 8
"""Pieces that an epoch is run in while a bar is shown; each costs one call into the recorded program."""


class Bar:
    """No bar at all: what `fit` talks to when nothing is to be shown."""

    def pieces(self, start: int, stop: int) -> Iterator[tuple[int, int]]:
        """Yield the steps start to stop - 1 in ranges (first, last) to run without interruption."""
        yield start, stop

    def show(self, logs: Mapping[str, float]) -> None:
        """Show the measurements of the epoch that has ended."""
        del logs


class TerminalBar(Bar):
    """A bar drawn by rich."""

    def __init__(self, progress: Progress, task: TaskID, steps: int) -> None:
        """Draw into a running display, with so many steps per epoch."""
        self._progress, self._task, self._steps = progress, task, steps

    def pieces(self, start: int, stop: int) -> Iterator[tuple[int, int]]:
        """See `Bar.pieces`; moves on after each."""
        width = max(self._steps // PIECES, 1)
        for first in range(start, stop, width):
            last = min(first + width, stop)
            yield first, last
            self._progress.advance(self._task, (last - first) / self._steps)

    def show(self, logs: Mapping[str, float]) -> None:
        """See `Bar.show`."""
        shown = (name for name in ("loss", "accuracy", "val_loss", "val_accuracy") if name in logs)
        self._progress.update(self._task, logs="  ".join(f"{name} {logs[name]:.4g}" for name in shown))


@contextmanager
def open_bar(wanted: bool | None, epochs: int, steps: int, done: int = 0) -> Iterator[Bar]:
    """Show a bar while the block runs: if wanted, or by default (None) if output is a terminal.

    Args:
        wanted: whether to show one.
        epochs: how many there are.
        steps: how many steps an epoch has.
        done: how many epochs are done already.
    """
    if not (sys.stderr.isatty() if wanted is None else wanted):
        yield Bar()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        "epoch",
        MofNCompleteColumn(),
        BarColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[logs]}"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True, refresh_per_second=4) as progress:
        yield TerminalBar(progress, progress.add_task("training", total=epochs, completed=done, logs=""), steps)
