"""The declarative form of a kernel test: a `Case` names a kernel, its arguments and their tolerances."""

from __future__ import annotations

import inspect
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnx.conformance.tolerance import Bound, Values, exact
from nnx.interface import Backend

FLOATS = ("float32", "float64")


@dataclass(frozen=True)
class Input:
    """An argument that is read: its values, and its dtype where that is not the floating one under test."""

    values: Values
    dtype: str | None = None


@dataclass(frozen=True)
class Output:
    """A destination: poisoned before the call, compared with the reference within `bound` after it."""

    shape: tuple[int, ...]
    bound: Bound = exact
    dtype: str | None = None


@dataclass(frozen=True)
class InPlace:
    """An argument that is read and overwritten."""

    values: Values
    bound: Bound = exact
    dtype: str | None = None


Arguments = Mapping[str, Any]
"""By name, in the interface's words: Input, Output, InPlace, or an attribute as it is (None included)."""


class Draw:
    """Repeatable test values, rounded to one dtype, so that the reference sees what the kernel sees."""

    def __init__(self, dtype: str, seed: int) -> None:
        """Start the generator; the same case draws the same numbers on every backend."""
        self.dtype = dtype
        self.generator = np.random.Generator(np.random.PCG64(seed))

    def round(self, values: Any) -> Values:
        """Return the values as float64 numbers that the dtype can represent."""
        with np.errstate(over="ignore", under="ignore"):
            return np.asarray(values, "float64").astype(self.dtype).astype("float64")

    def normal(self, *shape: int, mean: float = 0.0, spread: float = 1.0) -> Values:
        """Return normally distributed values."""
        return self.round(mean + spread * self.generator.standard_normal(shape))

    def uniform(self, *shape: int, low: float = 0.0, high: float = 1.0) -> Values:
        """Return evenly distributed values."""
        return self.round(self.generator.uniform(low, high, shape))

    def integers(self, high: int, *shape: int) -> Values:
        """Return integers from 0 to high - 1."""
        return self.generator.integers(0, high, shape)


Build = Callable[[Draw], Arguments]


@dataclass(frozen=True)
class Case:
    """One call of one kernel.

    Attributes:
        kernel: its name in the interface.
        label: what is special about the case, the shape first: "(257, 33) ties".
        build: makes the arguments from a `Draw`; called late, so that a table of cases costs nothing.
        dtypes: the floating dtypes to run in; one entry suffices where no argument has one.
        views: whether to repeat the call with non-contiguous and read-only inputs.
    """

    kernel: str
    label: str
    build: Build
    dtypes: tuple[str, ...] = FLOATS
    views: bool = True

    def arguments(self, dtype: str) -> Arguments:
        """Build the arguments in the order of the kernel's parameters."""
        built = self.build(Draw(dtype, zlib.crc32(f"{self.kernel} {self.label}".encode())))
        names = parameters(self.kernel)
        if set(names) != set(built):
            raise TypeError(f"case {self.kernel} {self.label} must give {names}, got {list(built)}.")
        return {name: built[name] for name in names}


def parameters(kernel: str) -> list[str]:
    """Return the names of a kernel's parameters, in order."""
    return list(inspect.signature(getattr(Backend, kernel)).parameters)[1:]


def late(build: Callable[..., Arguments], *positional: Any, **options: Any) -> Build:
    """Return a builder that calls build(draw, *positional, **options)."""
    return lambda draw: build(draw, *positional, **options)


def over(kernel: str, shapes: Iterable[tuple[int, ...]], build: Callable[..., Arguments]) -> tuple[Case, ...]:
    """Make one case per shape: build(draw, *shape). Views are left out of the largest."""
    return tuple(
        Case(kernel, str(shape), late(build, *shape), views=int(np.prod(shape)) < 100_000) for shape in shapes
    )
