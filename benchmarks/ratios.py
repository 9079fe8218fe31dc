"""From repetitions that were measured next to each other to ratios: how many times as fast ours is."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.contenders import OURS
from benchmarks.contest import Result


@dataclass(frozen=True)
class Ratio:
    """Seconds of another contender over seconds of ours: above 1, ours is faster.

    Attributes:
        task, threads: what was done, on how many.
        ours, against: the contenders.
        median: over the turns; low and high are the quartiles.
    """

    task: str
    threads: int
    ours: str
    against: str
    median: float
    low: float
    high: float


def paired(ours: Sequence[float], theirs: Sequence[float]) -> tuple[float, float, float]:
    """Return median, lower and upper quartile of the ratios theirs / ours, turn by turn.

    The turns of one index were measured one after another, so that whatever slowed the machine down for a while
    slowed both and cancels.
    """
    ratios = [b / a for a, b in zip(ours, theirs, strict=True)]
    if len(ratios) < 2:
        return ratios[0], ratios[0], ratios[0]
    low, median, high = statistics.quantiles(ratios, n=4, method="inclusive")
    return median, low, high


def middle(seconds: Sequence[float]) -> float:
    """Return the median."""
    return statistics.median(seconds)


def is_ours(name: str) -> bool:
    """Tell whether a contender is a backend of nnx."""
    return name.startswith(OURS)


def best_peer(result: Result) -> str | None:
    """Return the fastest of those that are not nnx and whose results nobody disputes; None if there is none."""
    peers = {
        name: middle(seconds)
        for name, seconds in result.seconds.items()
        if seconds and not is_ours(name) and name not in result.disputed
    }
    return min(peers, key=lambda name: peers[name], default=None)


def rivals(result: Result) -> list[str]:
    """Return whom ours are compared with: the peers; where none took part, the first backend, itself included."""
    peers = [name for name in result.seconds if not is_ours(name)]
    return peers or list(result.seconds)[:1]


def ratios_of(result: Result) -> list[Ratio]:
    """Return the ratio of each backend of ours to each rival."""
    found = []
    for ours in filter(is_ours, result.seconds):
        for against in rivals(result):
            if result.seconds[ours] and result.seconds[against]:
                numbers = paired(result.seconds[ours], result.seconds[against])
                found.append(Ratio(result.task, result.threads, ours, against, *numbers))
    return found


def decisive(result: Result) -> list[Ratio]:
    """Return the ratio of each backend of ours to the best peer; without peers, to the first backend."""
    best = best_peer(result)
    return [ratio for ratio in ratios_of(result) if best is None or ratio.against == best]
