"""Numbers to try layers on: ordinary ones, ties, and the ends of what a dtype can hold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Values = Any
"""A NumPy array on the host."""


def _normal(random: np.random.Generator, shape: tuple[int, ...], _: np.finfo) -> Values:
    return random.standard_normal(shape)


def _ties(random: np.random.Generator, shape: tuple[int, ...], _: np.finfo) -> Values:
    """Few different numbers, among them zeros of both signs."""
    return random.choice([-3.0, -1.0, -0.0, 0.0, 1.0, 2.0], shape)


def _tiny(random: np.random.Generator, shape: tuple[int, ...], about: np.finfo) -> Values:
    """Subnormal numbers, the least normal ones, and zeros of both signs."""
    least = float(about.smallest_subnormal)
    sizes = random.choice([0.0, least, 5 * least, float(about.tiny) - least, float(about.tiny)], shape)
    return np.copysign(sizes, random.standard_normal(shape))


def _huge(random: np.random.Generator, shape: tuple[int, ...], about: np.finfo) -> Values:
    """Up to the largest number there is."""
    sizes = float(about.max) * random.choice([1.0, 0.5, 0.1, 1e-3], shape)
    return np.copysign(sizes, random.standard_normal(shape))


def _mixed(random: np.random.Generator, shape: tuple[int, ...], about: np.finfo) -> Values:
    """Any exponent."""
    exponents = random.integers(about.minexp, about.maxexp, shape)
    return np.ldexp(np.copysign(random.uniform(0.5, 1, shape), random.standard_normal(shape)), exponents)


_KINDS: dict[str, Callable[..., Values]] = {
    "normal": _normal,
    "ties": _ties,
    "tiny": _tiny,
    "huge": _huge,
    "mixed": _mixed,
}

MODERATE = ("normal", "ties")
"""Sums and products of these neither overflow nor lose digits at the lower end."""

FINITE = tuple(_KINDS)


def numbers(kind: str, seed: int, shape: tuple[int, ...], dtype: str) -> Values:
    """Return numbers of one kind, the same for the same seed."""
    random = np.random.Generator(np.random.PCG64(seed))
    return np.asarray(_KINDS[kind](random, shape, np.finfo(dtype))).astype(dtype)


def same_bits(first: Values, second: Values) -> bool:
    """Tell whether two arrays hold the same numbers; zeros of either sign are the same, and so are all NaN."""
    return first.dtype == second.dtype and np.array_equal(first, second, equal_nan=first.dtype.kind == "f")


def require_same(got: Values, expected: Values, what: str = "the results") -> None:
    """Assert that they are the same, bit for bit."""
    assert got.shape == expected.shape, f"{what}: {got.shape} instead of {expected.shape}"
    assert same_bits(got, expected), f"{what} differ:\n{got}\n{expected}"


ROUNDING = 1e-10
"""How far two ways to compute the same in float64 may part, relative to the largest number: sums here have up to
some hundreds of terms of size 1, which cost 1e-13, and recurrences of eight steps with weights of size 1 to 3 may
multiply that by a thousand. What is wrong shows at 1e-2. Rounding itself is bounded by the conformance kit."""


def require_close(got: Values, expected: Values, what: str = "the results", terms: float = 0.0) -> None:
    """Assert that float64 numbers are the same but for rounding; `terms` is the size of what cancelled."""
    assert got.shape == expected.shape, f"{what}: {got.shape} instead of {expected.shape}"
    if expected.size:
        largest = max(1.0, terms, float(np.max(np.abs(expected))))
        parted = float(np.max(np.abs(got - expected))) / largest
        assert parted <= ROUNDING, f"{what} part by {parted:.1e} of {largest:.1e}:\n{got}\n{expected}"
