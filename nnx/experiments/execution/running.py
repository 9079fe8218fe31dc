"""Running the rows of an experiment from several seeds, and going on where an earlier attempt stopped."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime

from nnx import __version__, datasets
from nnx.errors import NnxError, OptionError
from nnx.experiments.execution.keeping import Done, Kept, Key
from nnx.experiments.execution.workers import Call, Failure, run_all, threads_of
from nnx.experiments.experiment import Experiment, Results, Row
from nnx.experiments.result import Result
from nnx.interface import Backend
from nnx.machine import cores
from nnx.registry import describe, get

_EMPTY = 2**28
"""Bytes that a process takes before it has read any data."""

_COPIES = 6
"""Of the inputs of a data set as float32: as read, as numbers, split, and on their way through a network."""


@dataclass(frozen=True)
class Run:
    """One row from one seed on one backend.

    Attributes:
        key: what decides its result, and finds that among those kept.
    """

    row: Row
    seed: int
    backend: str
    key: Key


@dataclass(frozen=True)
class Plan:
    """What is to be run.

    Attributes:
        rows: the rows.
        runs: every row from every seed; one seed after the other, so that early on there is something of all rows.
        found: for each run, its result if it was kept from before.
        kept: where results are kept.
    """

    rows: tuple[Row, ...]
    runs: tuple[Run, ...]
    found: tuple[Done | None, ...]
    kept: Kept

    @property
    def backends(self) -> tuple[str, ...]:
        """The engines that its rows are run on."""
        return tuple(dict.fromkeys(run.backend for run in self.runs))

    @property
    def missing(self) -> int:
        """How many runs are left to do."""
        return self.found.count(None)


@dataclass(frozen=True)
class Outcome:
    """What came of a plan.

    Attributes:
        results: by the name of the row, in the order of the seeds; failed runs are left out, and with them rows of
            which nothing is left.
        done: the same results with how each was made.
        failures: one sentence for each failed run, naming row and seed.
        lost: the names of the rows of which nothing is left.
    """

    results: Results
    done: tuple[Done, ...]
    failures: tuple[str, ...]
    lost: tuple[str, ...]


class ExperimentError(NnxError, RuntimeError):
    """Some runs of an experiment came to no result."""


def rows_on(experiment: Experiment, named: str | None) -> list[Row]:
    """Return the rows to run: one about an engine only if that is named, or if none is named and it is here.

    Raises:
        OptionError: all rows are about engines, and none of them is to be run.
    """

    def wanted(row: Row) -> bool:
        if row.backend is None:
            return True
        return row.backend == named if named else describe(row.backend).available

    rows = [row for row in experiment.rows if wanted(row)]
    if not rows:
        engines = sorted({row.backend for row in experiment.rows if row.backend})
        raise OptionError(
            f"--backend must be one of {', '.join(engines)} for {experiment.name}, whose rows are about these "
            f"engines, got {named!r}."
        )
    return rows


def default_jobs(experiment: Experiment, backend: Backend) -> int:
    """Return how many runs go side by side unless said otherwise.

    One for each core, if there is memory for as many; one alone on a device, and where times are measured.
    """
    if experiment.alone or not backend.on_host:
        return 1
    free = backend.memory().free
    return min(cores(), max(free // _needed(experiment), 1)) if free is not None else cores()


def _needed(experiment: Experiment) -> int:
    """Return about how many bytes of memory a process takes that trains on the experiment's data."""
    inputs = datasets.info(experiment.dataset).inputs if experiment.dataset else ()
    return _EMPTY + (_COPIES * 4 * math.prod(inputs) if inputs else 0)


def make_plan(experiment: Experiment, rows: Sequence[Row], backend: str, seeds: int, kept: Kept) -> Plan:
    """Plan to run rows from the seeds 0 to seeds - 1, and look for what was kept.

    Args:
        experiment: whose rows they are.
        rows: those to run.
        backend: the engine for rows that name none.
        seeds: how many.
        kept: where results are.
    """
    runs = tuple(_run(experiment, row, seed, row.backend or backend) for seed in range(seeds) for row in rows)
    return Plan(tuple(rows), runs, tuple(_found(run, kept) for run in runs), kept)


def count_kept(plan: Plan) -> int:
    """Return how many runs of a plan are kept by now."""
    return sum(_found(run, plan.kept) is not None for run in plan.runs)


def _found(run: Run, kept: Kept) -> Done | None:
    """Return what was kept of a run, unless it lacks what the row is compared by."""
    done = kept.find(run.key)
    return done if done and run.row.published.keys() <= done.result.figures.keys() else None


def _run(experiment: Experiment, row: Row, seed: int, backend: str) -> Run:
    files = datasets.info(experiment.dataset).files if experiment.dataset else ()
    key: Key = {
        "experiment": experiment.name,
        "row": row.name,
        "seed": seed,
        "backend": backend,
        "device": device_of(backend),
        "settings": repr(row.settings),
        "nnx": __version__,
        "data": " ".join(file.sha256 for file in files),
    }
    return Run(row, seed, backend, key)


def device_of(backend: str) -> str:
    """Return what an engine says of its device, without the threads of this process: runs have their own."""
    return re.sub(r", \d+ threads?(?=,|$)", "", get(backend).device())


def carry_out(plan: Plan, jobs: int, ended: Callable[[Run], None] = lambda _: None) -> Outcome:
    """Do the runs that are missing, keep the result of each as soon as it is there, and return all results.

    A run that fails, because its training diverges, for example, does not stop the others.

    Args:
        plan: what to run.
        jobs: how many processes at most; 1 runs in this one. Each run has its share of the cores, however few are
            left to do.
        ended: told of each run that has ended, well or not.

    Raises:
        StorageError: a result cannot be written.
        WorkerError: the system has killed a process.
        ExperimentError: every run failed.
    """
    outcomes: list[Done | Failure | None] = list(plan.found)
    calls = [
        Call(number, run.row.settings, run.seed, run.backend)
        for number, run in enumerate(plan.runs)
        if outcomes[number] is None
    ]
    with closing(run_all(calls, jobs)) as arriving:
        for number, outcome in arriving:
            outcomes[number] = _kept(plan, plan.runs[number], outcome, jobs)
            ended(plan.runs[number])
    return _collect(plan, outcomes)


def _kept(plan: Plan, run: Run, outcome: Result | Failure, jobs: int) -> Done | Failure:
    if isinstance(outcome, Failure):
        return outcome
    done = Done(outcome, jobs, threads_of(jobs), datetime.now(UTC))
    plan.kept.keep(run.key, done)
    return done


def _collect(plan: Plan, outcomes: Sequence[Done | Failure | None]) -> Outcome:
    results: dict[str, list[Result]] = {row.name: [] for row in plan.rows}
    failures = []
    for run, outcome in zip(plan.runs, outcomes, strict=True):
        if isinstance(outcome, Done):
            results[run.row.name].append(outcome.result)
        elif outcome is not None:
            failures.append(f"{run.row.name}, seed {run.seed}: {outcome.why}")
    done = tuple(outcome for outcome in outcomes if isinstance(outcome, Done))
    if not done:
        raise ExperimentError(f"Every run failed, so that there is no report. {failures[0]}")
    there = {name: found for name, found in results.items() if found}
    return Outcome(there, done, tuple(failures), tuple(name for name in results if name not in there))
