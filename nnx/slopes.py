"""Slopes of a function along random directions: by its gradient, and by central differences, in float64.

Along a direction d, (L(x + h d) - L(x - h d)) / 2h must be the gradient times d, where L is smooth. Where two step
sizes disagree the direction crosses a kink (relu, |e|); where the slopes to either side differ by more than the
curvature explains, x lies on one: a relu of 0 where a bias of 0 meets black pixels, a maximum of equals. No
gradient is right or wrong there, so another direction is tried, from a point a little aside.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

STEP = 1e-5
"""h: the difference errs by h^2 (truncation, about 1e-10) and eps / h (rounding, about 1e-11)."""

TOLERANCE = 1e-7
"""Relative to the largest slope that the direction could have had."""

_ATTEMPTS = 20

_ASIDE = 1e-3
"""How far the second attempt goes from the point in each coordinate, the third twice as far, and so on."""

_ROUNDING = 32 * float(np.finfo(np.float64).eps)
"""By what share of itself a loss may be off, being a sum of many terms."""


@dataclass(frozen=True)
class Slope:
    """One slope, found in two ways.

    Attributes:
        gradient, differences: by the gradient, and by central differences.
        scale: the largest slope that the direction could have had.
    """

    gradient: float
    differences: float
    scale: float

    @property
    def error(self) -> float:
        """By how much the two differ, as a share of the scale."""
        return abs(self.differences - self.gradient) / self.scale

    @property
    def agree(self) -> bool:
        """Whether they differ by no more than rounding and truncation."""
        return self.error <= TOLERANCE


def compare(
    loss: Callable[[Values], float],
    gradient: Callable[[Values], Values],
    point: Values,
    rng: np.random.Generator,
) -> Slope | None:
    """Return the slope of a loss along a random direction, at a point or beside it; None if all tried are kinks."""
    for attempt in range(_ATTEMPTS):
        direction = rng.standard_normal(point.shape)
        place = point + attempt * _ASIDE * rng.standard_normal(point.shape) if attempt else point
        coarse, fine = (_Differences.of(loss, place, direction, h) for h in (STEP, STEP / 4))
        if abs(coarse.slope - fine.slope) > 1e-6 * (abs(fine.slope) + 1):
            continue
        slopes = gradient(place) * direction
        scale = float(np.sum(np.abs(slopes))) + abs(fine.slope) + 1e-3
        if _jump(coarse, fine) <= max(TOLERANCE * scale, fine.rounding):
            return Slope(float(np.sum(slopes)), fine.slope, scale)
    return None


@dataclass(frozen=True)
class _Differences:
    """What three values of a loss on a line tell.

    Attributes:
        slope: by the outer two.
        gap: the slope after the middle less that before: h times the curvature, and the jump of a kink.
        rounding: by how much the gap may be off.
    """

    slope: float
    gap: float
    rounding: float

    @classmethod
    def of(cls, loss: Callable[[Values], float], point: Values, direction: Values, h: float) -> _Differences:
        """Look a step of h before and after the point."""
        before, here, after = (loss(point + step * direction) for step in (-h, 0.0, h))
        return cls((after - before) / (2 * h), (after - 2 * here + before) / h, _ROUNDING * abs(here) / h)


def _jump(coarse: _Differences, fine: _Differences) -> float:
    """Return by how much the slope jumps at the point: what remains of the gap as h goes to 0, to third order."""
    return abs(4 * fine.gap - coarse.gap) / 3
