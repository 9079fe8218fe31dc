"""Arithmetic that carries along how far rounding may have moved every number (running error analysis).

The bound of a recurrence cannot be read off its inputs: an error made at one step passes through all later ones.
Here the reference itself computes it: given numbers of the class `Rounded` and the namespace `Rounding`, it does
with values and errors what it does with arrays.

Source: Higham 2002, Accuracy and Stability of Numerical Algorithms, 3.3.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np

from nnx.conformance.tolerance import FORMATION, ULPS, Values


class Rounded:
    """Values, and the largest absolute error that a kernel may have made until here.

    Every operation adds what its own rounding may cost. For sums that is relative to `size`, the sum of the
    absolute terms, so that it holds in any order, and for formulas that are rearranged (y - y y for y (1 - y)).
    """

    dtype: Final = "float64"
    __array_ufunc__ = None  # NumPy arrays leave their operators to this class

    def __init__(self, unit: float, value: Values, error: Values = 0.0, size: Values | None = None) -> None:
        """Wrap values that are exact unless an error is given; `unit` is what one rounding may cost."""
        self.unit, self.value = unit, np.asarray(value, "float64")
        self.error = np.zeros(self.value.shape) + error
        self.size = np.abs(self.value) if size is None else size

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the values."""
        return self.value.shape

    @property
    def T(self) -> Rounded:  # noqa: N802 (the standard's name)
        """The transpose."""
        return Rounded(self.unit, self.value.T, self.error.T, self.size.T)

    def __getitem__(self, key: Any) -> Rounded:
        """Return a view."""
        return Rounded(self.unit, self.value[key], self.error[key], self.size[key])

    def __setitem__(self, key: Any, other: Rounded) -> None:
        """Store values and errors."""
        self.value[key], self.error[key], self.size[key] = other.value, other.error, other.size

    def _other(self, other: Any) -> Rounded:
        return other if isinstance(other, Rounded) else Rounded(self.unit, other)

    def __add__(self, other: Any) -> Rounded:
        """Add; the errors add up."""
        other = self._other(other)
        size = self.size + other.size
        return Rounded(self.unit, self.value + other.value, self.error + other.error + self.unit * size, size)

    __radd__ = __add__

    def __neg__(self) -> Rounded:
        """Turn the sign over."""
        return Rounded(self.unit, -self.value, self.error, self.size)

    def __sub__(self, other: Any) -> Rounded:
        """Subtract; the errors add up."""
        return self + -self._other(other)

    def __rsub__(self, other: Any) -> Rounded:
        """Subtract from a number."""
        return self._other(other) - self

    def __mul__(self, other: Any) -> Rounded:
        """Multiply: (a + da) (b + db) - a b."""
        other = self._other(other)
        value = self.value * other.value
        moved = np.abs(self.value) * other.error + self.error * (np.abs(other.value) + other.error)
        return Rounded(self.unit, value, moved + self.unit * np.abs(value))

    __rmul__ = __mul__

    def __truediv__(self, other: Rounded) -> Rounded:
        """Divide by a number whose error is small beside it."""
        value = self.value / other.value
        moved = (self.error + np.abs(value) * other.error) / (np.abs(other.value) - other.error)
        return Rounded(self.unit, value, moved + self.unit * np.abs(value))

    def __matmul__(self, other: Rounded) -> Rounded:
        """Multiply matrices; the sum may go in any order."""
        left, right = np.abs(self.value), np.abs(other.value)
        size = left @ right
        moved = left @ other.error + self.error @ (right + other.error)
        own = (left.shape[1] + FORMATION) * self.unit * size
        return Rounded(self.unit, self.value @ other.value, moved + own, size)

    def __le__(self, other: float) -> Condition:
        """Compare with a number."""
        return Condition(self.value <= other, np.abs(self.value - other) < self.error)

    def __lt__(self, other: float) -> Condition:
        """Compare with a number."""
        return Condition(self.value < other, np.abs(self.value - other) < self.error)

    def __gt__(self, other: float) -> Condition:
        """Compare with a number."""
        return Condition(self.value > other, np.abs(self.value - other) < self.error)


class Condition(NamedTuple):
    """What a comparison of values gives, and where their errors leave it in doubt."""

    holds: Values
    doubt: Values


class Rounding:
    """The functions of an array namespace that the reference of a recurrence needs, on `Rounded` numbers."""

    def __init__(self, unit: float) -> None:
        """Take what one rounding may cost."""
        self.unit = unit

    def zeros(self, shape: tuple[int, ...], dtype: str) -> Rounded:
        """Return exact zeros."""
        return Rounded(self.unit, np.zeros(shape, dtype))

    def zeros_like(self, x: Rounded) -> Rounded:
        """Return exact zeros."""
        return self.full_like(x, 0.0)

    def ones_like(self, x: Rounded) -> Rounded:
        """Return exact ones."""
        return self.full_like(x, 1.0)

    def full_like(self, x: Rounded, number: float) -> Rounded:
        """Return an exact number everywhere."""
        return Rounded(self.unit, np.full(x.shape, number))

    def concat(self, parts: list[Rounded], axis: int) -> Rounded:
        """Lay arrays side by side."""
        columns = zip(*((part.value, part.error, part.size) for part in parts), strict=True)
        return Rounded(self.unit, *(np.concatenate(column, axis) for column in columns))

    def sum(self, x: Rounded, axis: tuple[int, ...]) -> Rounded:
        """Add up in any order."""
        size, count = np.sum(x.size, axis), np.prod([x.shape[each] for each in axis], dtype=int)
        return Rounded(self.unit, np.sum(x.value, axis), np.sum(x.error, axis) + count * self.unit * size, size)

    def where(self, condition: Any, a: Rounded, b: Rounded) -> Rounded:
        """Choose; where the choice is in doubt a kernel may have taken the other."""
        chosen, doubt = condition if isinstance(condition, Condition) else (condition, False)
        value, size = np.where(chosen, a.value, b.value), np.where(chosen, a.size, b.size)
        either = np.abs(a.value - b.value) + np.maximum(a.error, b.error)
        return Rounded(self.unit, value, np.where(doubt, either, np.where(chosen, a.error, b.error)), size)

    def abs(self, x: Rounded) -> Rounded:
        """Drop the sign."""
        return Rounded(self.unit, np.abs(x.value), x.error, x.size)

    def _monotone(self, function: Any, x: Rounded) -> Rounded:
        """An increasing function moves at most as far as at the ends of the interval that x may lie in."""
        value = function(x.value)
        moved = np.maximum(function(x.value + x.error) - value, value - function(x.value - x.error))
        return Rounded(self.unit, value, moved + ULPS * self.unit * np.abs(value))

    def exp(self, x: Rounded) -> Rounded:
        """Exponential."""
        return self._monotone(np.exp, x)

    def expm1(self, x: Rounded) -> Rounded:
        """Exponential, less 1."""
        return self._monotone(np.expm1, x)

    def log1p(self, x: Rounded) -> Rounded:
        """Logarithm of 1 + x."""
        return self._monotone(np.log1p, x)

    def tanh(self, x: Rounded) -> Rounded:
        """Hyperbolic tangent."""
        return self._monotone(np.tanh, x)
