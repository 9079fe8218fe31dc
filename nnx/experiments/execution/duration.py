"""About how long experiments take, from the seconds that stand beside each of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from nnx.experiments.execution.running import Plan
from nnx.experiments.experiment import Experiment
from nnx.machine import cores

LISTED = "numba"
"""The engine whose times are shown where none has been chosen: the one that every experiment was measured on."""


def whole(experiment: Experiment, engine: str = LISTED) -> float | None:
    """Return about how many seconds an experiment takes with its usual seeds and one run for each core.

    None if it was not measured on this engine.
    """
    rows = [row for row in experiment.rows if row.backend in (None, engine)]
    return _together([engine] * (len(rows) * experiment.seeds), _jobs(experiment), experiment.seconds)


def _jobs(experiment: Experiment) -> int:
    return 1 if experiment.alone else cores()


def left(plan: Plan, experiment: Experiment, jobs: int) -> float | None:
    """Return about how many seconds the missing runs of a plan take; None if one's engine was not measured."""
    runs = (run for run, found in zip(plan.runs, plan.found, strict=True) if found is None)
    return _together([run.backend for run in runs], jobs, experiment.seconds)


def _together(engines: Sequence[str], jobs: int, seconds: Mapping[str, float]) -> float | None:
    """Return how long runs on these engines take, so many of them side by side."""
    if not seconds.keys() >= set(engines):
        return None
    rounds = math.ceil(len(engines) / jobs)
    return rounds * sum(seconds[engine] for engine in engines) / len(engines) if engines else 0.0


def minutes_of(seconds: float) -> str:
    """Write a rough duration in minutes; of ten or more, only every fifth."""
    minutes = math.ceil(seconds / 60)
    rough = minutes if minutes < 10 else 5 * round(minutes / 5)
    return f"{max(rough, 1)} min"
