"""Has anything become slower? Ratios of this run against those kept, since times depend on the machine's mood."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nnx.errors import NnxError

MARGIN = 0.2
"""By how much a ratio may fall. Medians of two quick runs of the same code, on two cores that others worked on too,
differed by up to 29 % in 3 of 50 tasks; hence a ratio has fallen only if its upper quartile has. Between two more
such runs one task of 50 still did: a gathering of 17 us, whose time depends on where a process's pages lie.
Repeat a check that fails before believing it."""

Key = tuple[str, int, str, str]


@dataclass(frozen=True)
class Regression:
    """A ratio that fell beyond the margin."""

    task: str
    threads: int
    ours: str
    against: str
    before: float
    now: float

    def __str__(self) -> str:
        where = f"{self.task}, {self.threads} thread{'s' * (self.threads > 1)}"
        rival = f"{self.against}, now {self.now:.2f}"
        return f"{where}: {self.ours} was {self.before:.2f} times as fast as {rival}"


def kept_ratios(results: Mapping[str, Any]) -> dict[Key, float]:
    """Return the ratios to the contender that was the best when they were measured."""
    rows = (row for found in results["rounds"] for row in found["verdicts"])
    return {(row["task"], row["threads"], row["ours"], row["against"]): row["ratio"] for row in rows}


def all_ratios(results: Mapping[str, Any]) -> dict[Key, tuple[float, float]]:
    """Return median and upper quartile of the ratios to every contender."""
    rows = (row for found in results["rounds"] for row in found["ratios"])
    return {
        (row["task"], row["threads"], row["ours"], row["against"]): (row["median"], row["high"]) for row in rows
    }


def regressions(now: Mapping[str, Any], before: Mapping[str, Any], margin: float) -> tuple[list[Regression], int]:
    """Return the ratios that fell by more than the margin, upper quartile included, and how many were compared.

    Raises:
        NnxError: the two have no ratio in common, so that nothing could be said.
    """
    fresh = all_ratios(now)
    common = {key: ratio for key, ratio in kept_ratios(before).items() if key in fresh}
    if not common:
        raise NnxError(
            "The stored results and this run have no ratio in common; compare runs with the same --peers, "
            "--backend and --threads, or store new ones first."
        )
    fallen = [
        Regression(*key, ratio, fresh[key][0])
        for key, ratio in common.items()
        if not fresh[key][1] >= ratio * (1 - margin)
    ]
    return fallen, len(common)
