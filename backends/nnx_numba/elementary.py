"""Elementary functions that LLVM turns into vector instructions, each within 4 units in the last place.

Written once for both types: `number` and `polynomial` take the type of their argument. Arguments are limited
by comparisons that are false for NaN, so that a NaN passes through. The polynomials are Chebyshev fits.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nnx_numba.instructions import number, polynomial, scaled, shifted, unshifted
from nnx_numba.jit import device

Real = Any
"""A float32 or float64, as every function here takes and returns it."""

one, two, half, zero = number(1.0), number(2.0), number(0.5), number(0.0)
_lowest = number(-104.0, -746.0)  # e^x is 0 below
_highest = number(89.0, 710.0)  # and infinite above
_unit_log = number(-20.0, -40.0)  # e^x - 1 is -1 below
_per_log2 = number(1.4426950408889634)
_log2_high = number(0.693359375, float.fromhex("0x1.62e42fee00000p-1"))  # so short that n times it is exact
_log2_low = number(-2.12194440054690583e-4, 1.90821492927058770e-10)
_far_tail = number(15.0, 40.0)  # e^(-x^2 / 2) and Phi(-x) are 0 beyond
_steps = number(128.0, 1024.0)
_inverse_steps = number(1 / 128, 1 / 1024)
_sensitivity = number(0.65)  # half of d log(Mills' ratio) / d log w, which is 0.5 to 0.8
_peak = number(1 / math.sqrt(2 * math.pi))

_exp_tail = polynomial(  # (e^r - 1 - r) / r^2 for |r| <= ln 2 / 2
    (0.00139269181, 0.00836376702, 0.0416665502, 0.166665734, 0.5),
    (
        *(2.0915433598076005e-9, 2.5106262550879079e-8, 2.755727183153613e-7, 2.755725286336732e-6),
        *(2.4801587326990049e-5, 0.00019841269876840356, 0.0013888888888883332, 0.0083333333333255517),
        *(0.04166666666666667, 0.16666666666666671, 0.5),
    ),
)
_atanh_tail = polynomial(  # (atanh(s) / s - 1) / s^2 of z = s^2 for s <= 1/3
    (0.116121646, 0.108532879, 0.14296179, 0.199998532, 0.333333337),
    (
        *(0.078152889004614252, 0.037460718977753837, 0.054225891974400074, 0.058671395306515987),
        *(0.066675893157246279, 0.076922719824302746, 0.090909099489813572, 0.11111111099118385),
        *(0.1428571428580005, 0.19999999999999761, 0.33333333333333333),
    ),
)
_mills_tail = polynomial(  # (1 - Phi(a)) / (sqrt(2 pi) phi(a) w) of t = 1 - 2 w
    (
        *(-2.72318581e-5, 2.83778435e-5, 0.000348275615, 0.000424752976),
        *(-0.00093909371, -0.00336798775, -0.000242837032, 0.0183594925),
        *(0.0143992993, -0.165702223, 0.336203995),
    ),
    (
        *(2.3677656131387948e-9, 1.0958564941935207e-8, 8.3136017021893547e-9, -4.0821331246992317e-8),
        *(-9.3027901768793192e-8, -1.9771946147596264e-8, 1.7113148900253157e-7, 2.83127378257536e-7),
        *(1.9667359868969259e-7, -1.0537838073743828e-7, -7.1230742469650949e-7, -1.4674581274180131e-6),
        *(-1.4086114127085926e-6, 1.0083033773144414e-6, 6.2783598515013966e-6, 1.0853398000993252e-5),
        *(4.8428111740879789e-6, -2.3027309355310593e-5, -6.4276353227449593e-5, -5.7846567004120877e-5),
        *(0.00010349591794936354, 0.00041359949988928297, 0.00039255907403804249, -0.00097556208227234658),
        *(-0.0033624535388866229, -0.00023479841713397116, 0.018359180484457079, 0.014398680172680639),
        *(-0.16570222119439049, 0.33620400244634121),
    ),
)


@device
def at_least(x: Real, low: Real) -> Real:
    """The larger of x and low; NaN if x is."""
    return low if x < low else x


@device
def at_most(x: Real, high: Real) -> Real:
    """The smaller of x and high; NaN if x is."""
    return high if x > high else x


@device
def _reduced(x: Real, n: Real) -> Real:
    """The rest x - n ln 2, with ln 2 in two parts."""
    return (x - n * _log2_high(x)) - n * _log2_low(x)


@device
def exp_sum(x: Real, tail: Real) -> Real:
    """e^(x + tail) for a tail small against x, as exactly as if the sum were not rounded."""
    x = at_most(at_least(x, _lowest(x)), _highest(x))
    exponent = shifted((x + tail) * _per_log2(x))
    r = _reduced(x, unshifted(exponent)) + tail
    return scaled(one(r) + (r + r * r * _exp_tail(r)), exponent)


@device
def exp(x: Real) -> Real:
    """e^x."""
    return exp_sum(x, zero(x))


@device
def expm1(x: Real) -> Real:
    """e^x - 1 for x <= 0; exact to the last places also near 0, where 2^n is 1."""
    x = at_least(x, _unit_log(x))
    exponent = shifted(x * _per_log2(x))
    r = _reduced(x, unshifted(exponent))
    power = scaled(one(x), exponent)
    return power * (r + r * r * _exp_tail(r)) + (power - one(x))


@device
def log1p(x: Real) -> Real:
    """log(1 + x) for 0 <= x <= 1, as 2 atanh(x / (2 + x))."""
    s = x / (two(x) + x)
    z = s * s
    return two(x) * (s + s * z * _atanh_tail(z))


@device
def tanh(x: Real) -> Real:
    """The hyperbolic tangent."""
    e = expm1(-two(x) * abs(x))
    return math.copysign(e / (two(x) + e), x)


@device
def sigmoid(x: Real) -> Real:
    """1 / (1 + e^-x)."""
    e = exp(-abs(x))
    return (e if x < zero(x) else one(x)) / (one(x) + e)


@device
def softplus(x: Real) -> Real:
    """log(1 + e^x)."""
    return at_least(x, zero(x)) + log1p(exp(-abs(x)))


@device
def bell(x: Real) -> Real:
    """e^(-x^2 / 2), with x split so that the square of its head is exact."""
    size = at_most(abs(x), _far_tail(x))
    head = np.floor(size * _steps(x)) * _inverse_steps(x)
    return exp_sum(-half(x) * head * head, -half(x) * (size - head) * (size + head))


@device
def normal_cdf(x: Real) -> Real:
    """Phi(x), by a fit of Mills' ratio in w = 2 / (2 + |x|)."""
    size = at_most(abs(x), _far_tail(x))
    total = two(x) + size
    w = two(x) / total
    upper = bell(size) * (w * _mills_tail(one(x) - two(x) * w))
    lost = (two(x) - w * total) - w * (size - (total - two(x)))  # 2 x the relative error that rounding left in w
    upper += upper * (_sensitivity(x) * lost)
    return upper if x < zero(x) else one(x) - upper


@device
def normal_density(x: Real) -> Real:
    """The derivative of Phi."""
    return _peak(x) * bell(x)
