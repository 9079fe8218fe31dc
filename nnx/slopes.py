"""Slopes of a function along random directions: by its gradient, and by central differences, in float64.

Along a direction d, (L(x + h d) - L(x - h d)) / 2h must be the gradient times d. Two step sizes are tried: where
they disagree the direction crosses a kink (relu, |e|), and another is drawn.
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
    loss: Callable[[Values], float], point: Values, gradient: Values, rng: np.random.Generator
) -> Slope | None:
    """Return the slope of a loss along a random direction; None if every one tried crosses a kink."""
    for _ in range(_ATTEMPTS):
        direction = rng.standard_normal(point.shape)
        coarse, fine = (_differences(loss, point, direction, h) for h in (STEP, STEP / 4))
        if abs(coarse - fine) <= 1e-6 * (abs(fine) + 1):
            expected = float(np.sum(gradient * direction))
            scale = float(np.sum(np.abs(gradient * direction))) + abs(fine) + 1e-3
            return Slope(expected, fine, scale)
    return None


def _differences(loss: Callable[[Values], float], point: Values, direction: Values, h: float) -> float:
    return (loss(point + h * direction) - loss(point - h * direction)) / (2 * h)
