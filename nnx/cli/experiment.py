"""`nnx experiment`: the published experiments, by name."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from nnx import datasets
from nnx.cli.completion import names_from
from nnx.cli.options import BackendName, Json, examples, find_backend
from nnx.cli.output import make_folder, note, paragraph, print_json, print_table, say
from nnx.cli.progress import show_progress
from nnx.cli.usage import Command, count
from nnx.errors import OptionError
from nnx.experiments import EXPERIMENTS, Experiment, find
from nnx.experiments.execution.duration import LISTED, left, minutes_of, whole
from nnx.experiments.execution.keeping import Kept
from nnx.experiments.execution.locking import alone_in
from nnx.experiments.execution.running import (
    ExperimentError,
    Outcome,
    Plan,
    carry_out,
    count_kept,
    default_jobs,
    device_of,
    make_plan,
    rows_on,
)
from nnx.experiments.reporting.provenance import provenance
from nnx.experiments.reporting.report import Report, compared, make
from nnx.experiments.reporting.writing import HTML, write
from nnx.experiments.summary import shown
from nnx.interface import Backend
from nnx.plots.drawing import need_matplotlib

experiment = typer.Typer(no_args_is_help=True, add_completion=False)


@experiment.callback()
@examples("nnx experiment list", "nnx experiment run cats-initialization --backend numba")
def _experiment() -> None:
    """Reproduce published experiments, with reports and pictures."""


RUNS = "runs"
"""The folder of kept results, within that of the report."""

_MOST = 1000  # seeds, or processes: more is a slip of the finger
_TOLD = 3  # failed runs that are named one by one

Name = Annotated[
    str,
    typer.Argument(
        metavar="NAME",
        help="An experiment; nnx experiment list shows them.",
        autocompletion=names_from(lambda: EXPERIMENTS),
    ),
]
Seeds = Annotated[
    int | None,
    typer.Option(
        "--seeds",
        parser=count("--seeds", 1, _MOST),
        metavar="N",
        help="From how many seeds to run each row, by default as suits the experiment.",
    ),
]
Out = Annotated[
    Path | None,
    typer.Option("--out", metavar="DIR", help="Folder for the report; made if needed; by default runs/NAME."),
]
Jobs = Annotated[
    int | None,
    typer.Option(
        "--jobs",
        parser=count("--jobs", 1, _MOST),
        metavar="N",
        help="How many runs at a time, each in a process with its share of the cores; by default one for each "
        "core, as far as the memory goes, and one alone on a GPU.",
    ),
]


@experiment.command("list", cls=Command)
@examples(
    "nnx experiment list",
)
def list_experiments(json: Json = False) -> None:
    """Show the experiments, the data that they need, how many runs they take, rows times seeds, and how long."""
    if json:
        print_json([_entry(found) for found in EXPERIMENTS.values()])
        return
    rows = [
        (found.name, found.title, found.dataset or "none", f"{len(found.rows)} x {found.seeds}", _listed(found))
        for found in EXPERIMENTS.values()
    ]
    print_table(("name", "title", "data set", "rows x seeds", "about"), rows, ("rows x seeds", "about"))
    note(f"Times: on {LISTED} with all cores of this machine, as measured on cores of a busy AMD EPYC.")


def _listed(found: Experiment) -> str:
    seconds = whole(found)
    return "" if seconds is None else minutes_of(seconds)


def _entry(found: Experiment) -> dict[str, object]:
    return {
        "name": found.name,
        "title": found.title,
        "dataset": found.dataset,
        "rows": [row.name for row in found.rows],
        "seeds": found.seeds,
        "source": found.source,
        "seconds of a run": dict(found.seconds),
    }


@experiment.command("run", cls=Command)
@examples(
    "nnx experiment run cats-initialization --backend numba",
    "nnx experiment run cats-initialization --seeds 3 --jobs 1 --out runs/quick",
)
def run_experiment(
    name: Name,
    backend: BackendName = None,
    seeds: Seeds = None,
    out: Out = None,
    jobs: Jobs = None,
    json: Json = False,
) -> None:
    """Run every row of an experiment from several seeds, and write a report: HTML, Markdown, JSON and pictures.

    Each result is kept in DIR/runs as soon as it is there: the same command goes on where it was stopped, and runs
    again only what was run with other settings, on another engine or with another version of nnx. A run that fails,
    because its training diverges, for example, is left out and named; the exit code is 1 then.
    """
    found, engine = find(name), find_backend(backend)
    rows, number = rows_on(found, backend), seeds or found.seeds
    processes = _processes(found, engine, jobs, len(rows) * number)
    folder = out or Path("runs") / found.name
    _check_here(found)
    make_folder("--out", folder)
    make_folder("--out", folder / RUNS)
    with alone_in(folder / RUNS):
        plan = make_plan(found, rows, engine.name, number, Kept(folder / RUNS))
        _tell(found, plan, processes)
        with _gone_on_with(plan), show_progress(plan) as ended:
            outcome = carry_out(plan, processes, ended)
        fixed = backend or ("" if any(row.backend for row in rows) else engine.name)
        command = _command(found.name, fixed, number, processes, out)
        report = _report(found, outcome, plan, _made_by(command, plan, outcome, number))
        _print(report, write(report, folder), json)
    if outcome.failures:
        raise ExperimentError(_failed(outcome, plan))


def _processes(found: Experiment, engine: Backend, jobs: int | None, runs: int) -> int:
    """Return how many processes to run in: as asked for, or as suits the machine and the number of runs.

    Raises:
        OptionError: several were asked for, but the experiment measures time.
    """
    if found.alone and jobs is not None and jobs > 1:
        raise OptionError(
            f"--jobs must be 1 for {found.name}, which measures time and cannot share the machine; got {jobs}."
        )
    return jobs or min(default_jobs(found, engine), runs)


def _check_here(found: Experiment) -> None:
    """Make sure, before any work is done, that there are data to train on, and what draws pictures.

    Raises:
        DatasetUnavailableError, FileFormatError: the data set cannot be had.
        MissingLibraryError: matplotlib is not installed.
    """
    need_matplotlib()
    if found.dataset is not None:
        datasets.fetch(found.dataset)


def _tell(found: Experiment, plan: Plan, jobs: int) -> None:
    """Say what need not be run again, and what is run now."""
    total, kept = len(plan.runs), len(plan.runs) - plan.missing
    if kept:
        folder = plan.kept.folder
        note(f"{kept} of {total} runs were kept from before; to run them again, remove {str(folder)!r} first.")
    if plan.missing:
        rows, seeds = _number(len(plan.rows), "row"), _number(total // len(plan.rows), "seed")
        engines, side = ", ".join(plan.backends), f", {jobs} at a time" if jobs > 1 else ""
        seconds = left(plan, found, jobs)
        time = "" if seconds is None else f": about {minutes_of(seconds)}"
        note(f"{found.name} on {engines}: {_number(plan.missing, 'run')} of {rows} x {seeds}{side}{time}")


def _number(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


@contextmanager
def _gone_on_with(plan: Plan) -> Iterator[None]:
    """Let a Ctrl-C in the block say what is kept, where, and how to go on."""
    try:
        yield
    except KeyboardInterrupt as error:
        kept, folder = count_kept(plan), str(plan.kept.folder)
        raise KeyboardInterrupt(
            f"interrupted: {kept} of {len(plan.runs)} runs are kept in {folder!r}; the same command goes on with "
            "the others"
        ) from error


def _command(name: str, backend: str, seeds: int, jobs: int, out: Path | None) -> str:
    """Return the command line that makes the same report, with the defaults that it rests on written out."""
    options = {"--backend": backend, "--seeds": str(seeds), "--jobs": str(jobs), "--out": str(out or "")}
    given = [word for option, value in options.items() if value for word in (option, value)]
    return shlex.join(["nnx", "experiment", "run", name, *given])


def _made_by(command: str, plan: Plan, outcome: Outcome, seeds: int) -> dict[str, Any]:
    devices = {name: device_of(name) for name in plan.backends}
    return provenance(command, devices, seeds, outcome.done)


def _report(found: Experiment, outcome: Outcome, plan: Plan, made_by: Mapping[str, Any]) -> Report:
    report = make(found, outcome.results, made_by)
    if not outcome.failures:
        return report
    return replace(report, notes=(*report.notes, _failed(outcome, plan)))


def _failed(outcome: Outcome, plan: Plan) -> str:
    """Say which runs failed, and why."""
    failed, named = len(outcome.failures), outcome.failures[:_TOLD]
    more = f" ... and {failed - len(named)} more." if failed > len(named) else ""
    lost = f", and with them all of {', '.join(map(repr, outcome.lost))}" if outcome.lost else ""
    return f"{failed} of {len(plan.runs)} runs failed and are left out{lost}. {' '.join(named)}{more}"


def _print(report: Report, files: Mapping[str, Path], json: bool) -> None:
    others = ", ".join(name for name in files if name != HTML)
    where = f"Report: {files[HTML]}; beside it {others}."
    if json:
        print_json(report.to_json())
        note(where)
        return
    print_table(("row", "quantity", "measured", "compared"), list(_lines(report)))
    blocks = ([report.legend], report.notes, [where])
    for block in filter(None, blocks):
        say("")
        for text in block:
            paragraph(text)


def _lines(report: Report) -> Iterator[tuple[str, str, str, str]]:
    """Yield a line of the table for each quantity of each row, whose name stands in its first."""
    for line in report.lines:
        for cell in line.cells:
            name = line.name if cell is line.cells[0] else ""
            yield name, cell.quantity.name, shown(cell), compared(cell)
