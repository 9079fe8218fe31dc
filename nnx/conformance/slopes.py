"""How a gradient is checked: a backward kernel against central differences of its forward kernel, in float64.

Along a random direction d, (L(x + h d) - L(x - h d)) / 2h must be the gradient times d. Two step sizes are
tried: where they disagree the direction crosses a kink (relu, |e|), and another is drawn.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from nnx.conformance.report import NonconformanceError
from nnx.conformance.tolerance import Values
from nnx.interface import Backend

Point = dict[str, Values]

STEP = 1e-5
"""h: the difference errs by h^2 (truncation, about 1e-10) and eps / h (rounding, about 1e-11)."""

TOLERANCE = 1e-7
"""Relative to the largest slope that the direction could have had."""

_DIRECTIONS = 3
_ATTEMPTS = 20


@dataclass(frozen=True)
class Pair:
    """A forward kernel that makes a number, and a backward kernel that makes its gradient.

    Attributes:
        name: what the pair is called in messages.
        kernel: the kernel that computes the gradient.
        point: the values to differentiate at, by name.
        loss: the number at a point.
        gradient: its gradient by each of the point's values.
    """

    name: str
    kernel: str
    point: Point
    loss: Callable[[Backend, Point], float]
    gradient: Callable[[Backend, Point], Point]


def check_pair(pair: Pair, backend: Backend) -> None:
    """Compare the gradient by each of the point's values with slopes along random directions."""
    rng = np.random.Generator(np.random.PCG64(17))
    gradient = pair.gradient(backend, pair.point)
    for name in pair.point:
        for _ in range(_DIRECTIONS):
            slope, direction = _smooth_slope(pair, backend, name, rng)
            expected = float(np.sum(gradient[name] * direction))
            scale = float(np.sum(np.abs(gradient[name] * direction))) + abs(slope) + 1e-3
            if not abs(slope - expected) <= TOLERANCE * scale:
                raise NonconformanceError(
                    f"{pair.name}: the gradient by {name} gives the slope {expected:.10g} along a direction in "
                    f"which central differences give {slope:.10g}"
                )


def _smooth_slope(pair: Pair, backend: Backend, name: str, rng: np.random.Generator) -> tuple[float, Values]:
    """Return a slope and its direction, along which two step sizes agree (no kink is crossed)."""
    for _ in range(_ATTEMPTS):
        direction = rng.standard_normal(pair.point[name].shape)
        coarse, fine = (_slope(pair, backend, name, direction, h) for h in (STEP, STEP / 4))
        if abs(coarse - fine) <= 1e-6 * (abs(fine) + 1):
            return fine, direction
    raise NonconformanceError(f"{pair.name}: no direction without a kink by {name}; is the loss smooth at all?")


def _slope(pair: Pair, backend: Backend, name: str, direction: Values, h: float) -> float:
    up, down = ({**pair.point, name: pair.point[name] + sign * h * direction} for sign in (1, -1))
    return (pair.loss(backend, up) - pair.loss(backend, down)) / (2 * h)


def inner(seed: Values, y: Values) -> float:
    """Return the loss sum(seed * y), whose gradient by y is the seed."""
    return float(np.sum(seed * y))
