"""Running the rows of an experiment from several seeds, and going on where an earlier attempt stopped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np

from nnx import __version__, datasets
from nnx.errors import NnxError, OptionError
from nnx.experiments.execution.keeping import Kept, Key
from nnx.experiments.execution.workers import Call, Failure, run_all
from nnx.experiments.experiment import Experiment, Results, Row
from nnx.experiments.result import Result
from nnx.interface import Backend
from nnx.machine import cores
from nnx.registry import describe, get


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
    found: tuple[Result | None, ...]
    kept: Kept

    @property
    def missing(self) -> int:
        """How many runs are left to do."""
        return self.found.count(None)


@dataclass(frozen=True)
class Outcome:
    """What came of a plan.

    Attributes:
        results: by the name of the row, in the order of the seeds; failed runs are left out.
        failures: one sentence for each failed run, naming row and seed.
    """

    results: Results
    failures: tuple[str, ...]


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
    """Return how many runs go side by side unless said otherwise: one for each core, one alone on a device."""
    on_host = isinstance(backend.zeros((), "float32"), np.ndarray)
    return cores() if on_host and not experiment.alone else 1


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
    return Plan(tuple(rows), runs, tuple(kept.find(run.key) for run in runs), kept)


def _run(experiment: Experiment, row: Row, seed: int, backend: str) -> Run:
    files = datasets.info(experiment.dataset).files if experiment.dataset else ()
    key: Key = {
        "experiment": experiment.name,
        "row": row.name,
        "seed": seed,
        "backend": backend,
        "device": get(backend).device(),
        "settings": repr(row.settings),
        "nnx": __version__,
        "data": " ".join(file.sha256 for file in files),
    }
    return Run(row, seed, backend, key)


def carry_out(plan: Plan, jobs: int, ended: Callable[[Run], None] = lambda _: None) -> Outcome:
    """Do the runs that are missing, keep the result of each as soon as it is there, and return all results.

    A run that fails, because its training diverges, for example, does not stop the others.

    Args:
        plan: what to run.
        jobs: how many processes at most; 1 runs in this one.
        ended: told of each run that has ended, well or not.

    Raises:
        StorageError: a result cannot be written.
        WorkerError: the system has killed a process.
        ExperimentError: every run of some row failed.
    """
    outcomes: list[Result | Failure | None] = list(plan.found)
    calls = [
        Call(number, run.row.settings, run.seed, run.backend)
        for number, run in enumerate(plan.runs)
        if outcomes[number] is None
    ]
    with closing(run_all(calls, min(jobs, max(len(calls), 1)))) as arriving:
        for number, outcome in arriving:
            outcomes[number], run = outcome, plan.runs[number]
            if isinstance(outcome, Result):
                plan.kept.keep(run.key, outcome)
            ended(run)
    return _collect(plan, outcomes)


def _collect(plan: Plan, outcomes: Sequence[Result | Failure | None]) -> Outcome:
    results: dict[str, list[Result]] = {row.name: [] for row in plan.rows}
    failures = []
    for run, outcome in zip(plan.runs, outcomes, strict=True):
        if isinstance(outcome, Result):
            results[run.row.name].append(outcome)
        elif outcome is not None:
            failures.append(f"{run.row.name}, seed {run.seed}: {outcome.why}")
    lost = [name for name, found in results.items() if not found]
    if lost:
        raise ExperimentError(
            f"Every run of {', '.join(map(repr, lost))} failed, so that there is no report; what was finished of "
            f"other rows is kept. {failures[0]}"
        )
    return Outcome(results, tuple(failures))
