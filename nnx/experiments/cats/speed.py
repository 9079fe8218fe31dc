"""How soon the cost falls."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator

from nnx.experiments.experiment import Results
from nnx.experiments.result import Curve
from nnx.experiments.sentences import in_medians, listed, quoted

COST = "cost"


def halving(results: Results) -> Iterator[str]:
    """Say after how many iterations the cost of each row is half of what it began with, the fastest first."""
    medians = {row: statistics.median(halved(run.curves[COST]) for run in runs) for row, runs in results.items()}
    arrived = sorted((row for row in medians if math.isfinite(medians[row])), key=medians.__getitem__)
    others = [row for row in medians if row not in arrived]
    every = max(gap(run.curves[COST]) for runs in results.values() for run in runs)
    if arrived:
        told = listed(f"{medians[row]:.0f} of '{row}'" for row in arrived)
        yield (
            f"Iterations until the cost is half of that before training, the fastest first{in_medians(results)}: "
            f"{told}. The cost is looked at every {every:.0f}."
        )
    if others:
        yield f"In half of the runs or more, the cost is never half of that before training: {quoted(others)}."


def halved(curve: Curve) -> float:
    """Return after which step the values are first at most half of the first, infinite if they never are."""
    steps = (step for step, value in zip(curve.steps, curve.values, strict=True) if 2 * value <= curve.values[0])
    return next(steps, math.inf)


def gap(curve: Curve) -> float:
    """Return the most steps between two values; 0 if there is but one."""
    return max((after - before for before, after in zip(curve.steps, curve.steps[1:], strict=False)), default=0.0)
