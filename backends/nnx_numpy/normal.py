"""The normal distribution in a few dozen vectorised passes, several times faster than `scipy.special.ndtr`.

With y = |x| / sqrt 2 and t = 3 / (3 + y), the scaled complement e^(y^2) erfc(y) / t is smooth in s = 2 t - 1
on all of y >= 0. It is interpolated at Chebyshev nodes (in 40 digits, then expanded in powers of s), with
relative errors of 2.0e-8 by the short polynomial, a third of float32's rounding, and 2.2e-17 by the long.
"""

from __future__ import annotations

import math

import numpy as np

from nnx.interface import Array
from nnx_numpy.plan import Plan

_WIDE = np.dtype(np.float64)

_SHORT = (
    *(2.346841841e-5, 7.026003744e-5, -0.0001714378726, -0.000991010881, -0.0004088962232, 0.008933822157),
    *(0.03984341939, 0.1034905946, 0.1967427444, 0.2944647429, 0.3580023024),
)
_LONG = (
    *(-2.8159509281075754e-10, 3.71970796640932e-12, 2.962614963838945e-09, -1.1971203723869944e-09),
    *(-1.7222715872994765e-08, 1.667106728097071e-08, 7.818223334208078e-08, -1.3725325306312522e-07),
    *(-3.3314597870270034e-07, 9.226037418424268e-07, 1.5831303440440469e-06, -5.823868584100777e-06),
    *(-1.0132730174040267e-05, 3.585392750000691e-05, 9.225928273365532e-05, -0.00018276991508258444),
    *(-0.0010113540003986608, -0.0004041388738382599, 0.008942411541493538, 0.03984258709565953),
    *(0.1034890873001889, 0.1967427857013695, 0.2944648177232945, 0.3580023023627799),
)
_POWERS = {4: _SHORT, 8: _LONG}
"""Coefficients of the powers of s, highest first, by the bytes of an element."""

_FAR = 40.0
"""Beyond it the distribution function is 0 or 1 to the last bit, also in float64."""


def normal(plan: Plan, x: Array) -> tuple[Array, Array, Array]:
    """Return x cut to at least -40, Phi(x) and e^(-x^2 / 2), all in float64 scratch.

    In float32 the two dozen roundings would add up to more than the last two bits.
    """
    wide, size, bell = (plan.take(slot, x.shape, _WIDE) for slot in ("wide", "size", "bell"))
    plan.copy(x, wide)
    plan(np.abs, wide, size)
    plan.minimum(size, _FAR, size)
    plan.maximum(wide, -_FAR, wide)
    plan(np.multiply, size, size, bell)
    plan(np.multiply, bell, -0.5, bell)
    plan(np.exp, bell, bell)
    return wide, _distribution(plan, wide, size, bell, _POWERS[x.itemsize]), bell


def _distribution(plan: Plan, x: Array, size: Array, bell: Array, powers: tuple[float, ...]) -> Array:
    """Return Phi(x), given |x| and e^(-x^2 / 2); overwrites size."""
    phi, s, t = plan.like("phi", x), plan.like("s", x), size
    plan(np.add, size, 3 * math.sqrt(2), t)
    plan(np.divide, 3 * math.sqrt(2), t, t)  # 3 / (3 + |x| / sqrt 2)
    plan(np.add, t, t, s)
    plan(np.subtract, s, 1, s)
    plan(np.multiply, s, powers[0], phi)
    for coefficient in powers[1:-1]:
        plan(np.add, phi, coefficient, phi)
        plan(np.multiply, phi, s, phi)
    plan(np.add, phi, powers[-1], phi)
    plan(np.multiply, t, 0.5, t)
    plan(np.multiply, phi, t, phi)
    plan(np.multiply, phi, bell, phi)  # 1 - Phi(|x|)
    positive = s
    plan(np.greater, x, 0, positive)
    plan(np.subtract, phi, positive, phi)
    plan(np.abs, phi, phi)
    return phi
