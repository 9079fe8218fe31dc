"""Initial weights, drawn on the host so that they are the same on every backend.

For a weight matrix (I, O), fan_in = I and fan_out = O; for the weights (K, L, I, O) of a convolution, K L I and
K L O. In the literature "Xavier" names two rules: "xavier" here is the one taught with hand-written networks,
variance 1 / fan_in; those named "glorot" average both fans, as in the paper.

===============  =======================================  ====================
name             values                                   Source
===============  =======================================  ====================
zeros, ones      0, or 1
normal           normal of standard deviation 0.01
standard_normal  normal of standard deviation 1
uniform          uniform in [0, 1)
xavier           normal, variance 1 / fan_in
glorot_normal    normal, variance 2 / (fan_in + fan_out)  Glorot & Bengio 2010
glorot_uniform   uniform of the same variance             Glorot & Bengio 2010
he               normal, variance 2 / fan_in              He et al. 2015
he_uniform       uniform of the same variance             He et al. 2015
lecun            normal, variance 1 / fan_in              LeCun et al. 1998
lecun_uniform    uniform of the same variance             LeCun et al. 1998
orthogonal       orthonormal rows or columns              Saxe et al. 2014
===============  =======================================  ====================
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real
from typing import TypeAlias

import numpy as np

from nnx import random
from nnx.errors import OptionError, UnknownNameError
from nnx.random import Floats

__all__ = [
    "INITIALIZERS",
    "Initializer",
    "InitializerLike",
    "by_group",
    "constant",
    "fans",
    "ones_within",
    "orthogonal",
    "scaled_normal",
    "scaled_uniform",
]

Shape = tuple[int, ...]
Initializer = Callable[[Shape, int, int], Floats]
"""Maps (shape, seed, stream) to float64 values of that shape."""

InitializerLike: TypeAlias = str | float | Initializer
"""What layers accept: a name of `INITIALIZERS`, a number to fill with, or a function."""


def fans(shape: Shape) -> tuple[int, int]:
    """Return (fan_in, fan_out): inputs that reach an output, and outputs that an input reaches."""
    if len(shape) < 2:
        return max(math.prod(shape), 1), max(math.prod(shape), 1)
    field = math.prod(shape[:-2])
    return max(field * shape[-2], 1), max(field * shape[-1], 1)


def constant(value: float) -> Initializer:
    """Fill with one value."""
    return lambda shape, _seed, _stream: np.full(shape, float(value))


def scaled_normal(deviation: float) -> Initializer:
    """Draw from a normal distribution of that standard deviation."""

    def draw(shape: Shape, seed: int, stream: int) -> Floats:
        values = random.normal(shape, seed, stream)
        values *= deviation  # in place here and below: large layers are drawn without memory for a second one
        return values

    return draw


def scaled_uniform(low: float, high: float) -> Initializer:
    """Draw uniformly from [low, high)."""

    def draw(shape: Shape, seed: int, stream: int) -> Floats:
        values = random.uniform(shape, seed, stream)
        values *= high - low
        values += low
        return values

    return draw


def _normal_by_fan(variance: Callable[[int, int], float]) -> Initializer:
    def draw(shape: Shape, seed: int, stream: int) -> Floats:
        return scaled_normal(math.sqrt(variance(*fans(shape))))(shape, seed, stream)

    return draw


def _uniform_by_fan(variance: Callable[[int, int], float]) -> Initializer:
    def draw(shape: Shape, seed: int, stream: int) -> Floats:
        limit = math.sqrt(3 * variance(*fans(shape)))  # a uniform on [-a, a] has the variance a^2 / 3
        values = random.uniform(shape, seed, stream)
        values *= 2
        values -= 1
        values *= limit
        return values

    return draw


def orthogonal(shape: Shape, seed: int, stream: int) -> Floats:
    """Draw a matrix with orthonormal rows or columns, whichever are fewer.

    Source: Saxe et al. 2014; the sign fix that makes the distribution uniform: Mezzadri 2007.
    """
    rows, columns = math.prod(shape[:-1]), shape[-1] if shape else 1
    q, r = np.linalg.qr(random.normal((max(rows, columns), min(rows, columns)), seed, stream))
    q *= np.where(np.diagonal(r) < 0, -1.0, 1.0)
    return np.ascontiguousarray(q if rows >= columns else q.T).reshape(shape)


@dataclass(frozen=True)
class _ByGroup:
    each: Initializer
    groups: int

    def __call__(self, shape: Shape, seed: int, stream: int) -> Floats:
        part = (*shape[:-1], shape[-1] // self.groups)
        drawn = [self.each(part, seed, (stream + group) % 2**64) for group in range(self.groups)]
        return np.concatenate(drawn, -1)


def by_group(initializer: Initializer, groups: int) -> Initializer:
    """Draw each of so many equal parts of the last axis by itself: a matrix of its own, with the fans of one."""
    return initializer if groups == 1 else _ByGroup(initializer, groups)


def ones_within(start: int, stop: int) -> Initializer:
    """Fill a vector with zeros, and its elements start to stop - 1 with ones."""

    def fill(shape: Shape, _seed: int, _stream: int) -> Floats:
        values = np.zeros(shape)
        values[start:stop] = 1
        return values

    return fill


INITIALIZERS: dict[str, Initializer] = {
    "zeros": constant(0.0),
    "ones": constant(1.0),
    "normal": scaled_normal(0.01),
    "standard_normal": scaled_normal(1.0),
    "uniform": scaled_uniform(0.0, 1.0),
    "xavier": _normal_by_fan(lambda fan_in, _: 1 / fan_in),
    "glorot_normal": _normal_by_fan(lambda fan_in, fan_out: 2 / (fan_in + fan_out)),
    "glorot_uniform": _uniform_by_fan(lambda fan_in, fan_out: 2 / (fan_in + fan_out)),
    "he": _normal_by_fan(lambda fan_in, _: 2 / fan_in),
    "he_uniform": _uniform_by_fan(lambda fan_in, _: 2 / fan_in),
    "lecun": _normal_by_fan(lambda fan_in, _: 1 / fan_in),
    "lecun_uniform": _uniform_by_fan(lambda fan_in, _: 1 / fan_in),
    "orthogonal": orthogonal,
}
"""Every initializer that a layer takes by name."""


def drawing(initializer: Initializer) -> int:
    """Return how many bytes per value are in use at most while it draws, its result included.

    Of functions of one's own only the result is known.
    """
    if isinstance(initializer, _ByGroup):
        return max(8 + drawing(initializer.each) // initializer.groups, 16)  # the parts, and then the whole beside
    return 40 if initializer is orthogonal else 8  # the factorisation works on copies


def check_initializer(value: InitializerLike) -> Initializer:
    """Return the initializer that a name, a number or a function stands for.

    Raises:
        UnknownNameError: no initializer has that name.
        OptionError: none of the three.
    """
    if isinstance(value, str):
        if value not in INITIALIZERS:
            raise UnknownNameError("initializer", value, INITIALIZERS)
        return INITIALIZERS[value]
    if isinstance(value, Real) and math.isfinite(value):
        return constant(float(value))
    if callable(value):
        return value
    raise OptionError(f"an initializer must be a name, a finite number or a function, got {value!r}.")
