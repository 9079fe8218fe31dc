"""How far a kernel may be from the reference: the tolerance classes, in this one place, with their reasons.

The reference runs in float64 on inputs that were rounded to the tested dtype first, so that only the rounding
of the kernel itself is measured. Every bound is computed from the data: the formula is evaluated once more on
absolute values, which gives the sum of absolute terms that rounding errors are proportional to.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

Values: TypeAlias = Any
"""A NumPy array on the host."""

ULPS = 4
"""Elementwise class. A correctly rounded operation costs half an ulp; the functions of good math libraries
(exp, tanh, log1p) 1 to 2; scaling by an attribute that had to be rounded first one more."""

FORMATION = 4
"""Reduction class, over and above the length: roundings made while the terms themselves are formed."""

SLACK = 8
"""Smallest normal numbers that every result may be off by: below them engines may flush to zero (GPUs, SIMD
modes), and the terms of a formula do so before they are multiplied by numbers of size 1."""

ORACLE = 2
"""In float64 the reference rounds as much as the kernel does, so both errors count."""


@dataclass(frozen=True)
class Context:
    """What a bound is computed from; indexing gives an argument as it was before the call.

    Attributes:
        given: inputs and in-place arguments before the call, in float64.
        after: destinations as the reference leaves them, in float64.
        name: the destination that the bound is for.
        unit: the relative rounding error to allow for, machine epsilon or a small multiple.
    """

    given: Mapping[str, Values]
    after: Mapping[str, Values]
    name: str
    unit: float

    def __getitem__(self, name: str) -> Values:
        return self.given[name]


Bound = Callable[[Context], Values]
"""The largest allowed absolute error of each element of a destination (or what broadcasts to it)."""


def unit(dtype: str) -> float:
    """Return the relative error that one rounding may cost in a comparison."""
    epsilon = float(np.finfo(dtype).eps)
    return ORACLE * epsilon if dtype == "float64" else epsilon


def exact(context: Context) -> Values:
    """Random bits, masks, copies, gathers, indices, relu: nothing is rounded, so nothing may differ."""
    return np.zeros(context.after[context.name].shape)


def elementwise(terms: Bound | None = None) -> Bound:
    """`ULPS` units in the last place of the result, or of the sum of absolute `terms` where it cancels.

    Where terms of opposite sign nearly cancel (p - lr g, or the derivative of gelu) the rounding error of
    each term stays while the result becomes small: no arithmetic in the dtype can do better.
    """

    def bound(context: Context) -> Values:
        size = np.abs(context.after[context.name]) if terms is None else terms(context)
        return ULPS * context.unit * size

    return bound


def reduction(length: int, terms: Bound) -> Bound:
    """Sum of n = `length` terms in any order: n * eps * sum of absolute terms.

    Recursive summation errs by at most (n - 1) eps / 2 times that sum (Higham, Accuracy and Stability of
    Numerical Algorithms, 4.2); trees and blocks err less. A dropped or doubled term is about 1/n of the sum
    and so stands out as long as n^2 eps < 1.
    """

    def bound(context: Context) -> Values:
        return (length + FORMATION) * context.unit * terms(context)

    return bound
