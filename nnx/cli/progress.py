"""How far the runs of an experiment are: bars on a terminal, a few lines elsewhere; always on stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from nnx.cli.output import note
from nnx.experiments.execution.running import Plan, Run

if TYPE_CHECKING:
    from rich.progress import Progress, Task
    from rich.text import Text

ALL = "all runs"

_LINES = 10
"""Lines at most for a whole experiment where nobody watches."""

_LONG = 24 * 3600.0
"""Seconds that the speed is estimated over: a run may take minutes, of which rich would remember half of one."""


@contextmanager
def show_progress(plan: Plan) -> Iterator[Callable[[Run], None]]:
    """Yield what is to be told of each run that has ended."""
    if not plan.missing:
        yield lambda _: None
    elif sys.stderr.isatty():
        with _bars() as progress:
            yield _draw(progress, plan)
    else:
        yield _write(plan)


def _write(plan: Plan) -> Callable[[Run], None]:
    """Return what prints a line after each tenth of the runs."""
    start, missing, done = time.monotonic(), plan.missing, 0
    total = len(plan.runs)

    def ended(_: Run) -> None:
        nonlocal done
        done += 1
        if done * _LINES // missing > (done - 1) * _LINES // missing and done < missing:
            left = (time.monotonic() - start) / done * (missing - done)
            note(f"{total - missing + done} of {total} runs, about {_clock(left)} left")

    return ended


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _bars() -> Progress:
    """Return a display that is not on yet; only the line of all runs says how long it will take."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
    from rich.text import Text

    class TimeLeft(TimeRemainingColumn):
        def render(self, task: Task) -> Text:
            return super().render(task) if task.description == ALL else Text()

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeLeft(),
        console=Console(stderr=True),
        transient=True,
        refresh_per_second=4,
        speed_estimate_period=_LONG,
    )


def _draw(progress: Progress, plan: Plan) -> Callable[[Run], None]:
    """Add a bar for all runs, which a low window shows too, and one for each row; return what moves them on."""
    everything = progress.add_task(ALL, total=len(plan.runs), completed=len(plan.runs) - plan.missing)
    bars = {}
    for row in plan.rows:
        found = [result for run, result in zip(plan.runs, plan.found, strict=True) if run.row.name == row.name]
        kept = len(found) - found.count(None)
        bars[row.name] = progress.add_task(row.name, total=len(found), completed=kept)

    def ended(run: Run) -> None:
        progress.advance(bars[run.row.name])
        progress.advance(everything)

    return ended
