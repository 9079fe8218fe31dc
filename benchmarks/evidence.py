"""Evidence that everyone did the same work: losses of a short run, fingerprints of what kernels computed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.kernels.cases import Case

TOLERANCE = 1e-3
"""Of fingerprints: means over an array, of results that are accurate to some 1e-6 each, tanh and exp included."""

TOLERANCE_OF_RANDOM = 0.02
"""Of fingerprints under random masks: the mean over 2^19 elements or more is known to some 0.1 %; small arrays are
not compared in contests."""


def fingerprint(case: Case, results: Sequence[NDArray[Any]]) -> list[float]:
    """Return two numbers per result: the mean magnitude, and, unless it is random, a mean under mixed signs.

    The second changes when elements are permuted or belong to other inputs, the first when a part is left out.
    """
    found: list[float] = []
    for result in results:
        values = np.asarray(result, np.float64).ravel()
        found.append(float(np.abs(values).mean()))
        if not case.random:
            signs = np.where(np.sin(np.arange(values.size) * 0.7) > 0, 1.0, -0.5)
            found.append(float((values * signs).mean()))
    return found


def tolerance_of(case: Case) -> float:
    """Return how far two fingerprints may be apart."""
    return TOLERANCE_OF_RANDOM if case.random else TOLERANCE


def disagreement(first: Sequence[float], second: Sequence[float]) -> float:
    """Return the largest relative difference; infinite if they do not even have the same length."""
    if len(first) != len(second):
        return math.inf
    scale = max((abs(value) for value in first), default=0.0)
    gaps = (abs(a - b) / max(abs(a), 1e-2 * scale, 1e-12) for a, b in zip(first, second, strict=True))
    worst = max(gaps, default=0.0)
    return math.inf if math.isnan(worst) else worst


def outliers(evidence: Mapping[str, Sequence[float]], tolerance: float) -> dict[str, float]:
    """Return those whose evidence is further than that from most others', with their distance.

    The reference is the contender that most agree with, so that one wrong contender does not accuse the rest.
    """

    def supporters(name: str) -> int:
        return sum(disagreement(evidence[name], other) <= tolerance for other in evidence.values())

    if not evidence:
        return {}
    reference = evidence[max(evidence, key=supporters)]
    gaps = {name: disagreement(reference, found) for name, found in evidence.items()}
    return {name: gap for name, gap in gaps.items() if gap > tolerance}
