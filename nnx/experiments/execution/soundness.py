"""Whether a result read from a file is one that a run can have left."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

from nnx.experiments.result import Curve, Result


def sound(result: Result) -> bool:
    """Tell whether a result has figures, whole curves, and numbers wherever they should be.

    Raises:
        ArithmeticError: a whole number is beyond those of floating point.
        TypeError, AttributeError: something is of another kind altogether.
    """
    figures = list(result.figures.values())
    return bool(figures) and _numbers(figures) and all(map(_whole, result.curves.values()))


def _whole(curve: Curve) -> bool:
    """Tell whether a curve has a value at each of its steps, which go up."""
    steps, values = curve.steps, curve.values
    return (
        _numbers(steps)
        and _numbers(values)
        and len(steps) == len(values) > 0
        and all(map(math.isfinite, steps))
        and all(first <= second for first, second in pairwise(steps))
    )


def _numbers(values: Any) -> bool:
    """Tell whether this is a list of numbers, each of which is one of floating point, too."""
    return isinstance(values, list) and all(isinstance(value, int | float) and _as_float(value) for value in values)


def _as_float(value: float) -> bool:
    float(value)  # raises what `sound` names
    return True
