"""How a gradient is checked: a backward kernel against central differences of its forward kernel, in float64."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from nnx.conformance.report import NonconformanceError
from nnx.conformance.tolerance import Values
from nnx.interface import Backend
from nnx.slopes import compare

Point = dict[str, Values]

_DIRECTIONS = 3


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
    for name in pair.point:
        for _ in range(_DIRECTIONS):
            loss, gradient = partial(_loss_by, pair, backend, name), partial(_gradient_by, pair, backend, name)
            found = compare(loss, gradient, pair.point[name], rng)
            if found is None:
                raise NonconformanceError(
                    f"{pair.name}: no direction without a kink by {name}; is the loss smooth at all?"
                )
            if not found.agree:
                raise NonconformanceError(
                    f"{pair.name}: the gradient by {name} gives the slope {found.gradient:.10g} along a direction "
                    f"in which central differences give {found.differences:.10g}"
                )


def _loss_by(pair: Pair, backend: Backend, name: str, values: Values) -> float:
    return pair.loss(backend, {**pair.point, name: values})


def _gradient_by(pair: Pair, backend: Backend, name: str, values: Values) -> Values:
    return pair.gradient(backend, {**pair.point, name: values})[name]


def inner(seed: Values, y: Values) -> float:
    """Return the loss sum(seed * y), whose gradient by y is the seed."""
    return float(np.sum(seed * y))
