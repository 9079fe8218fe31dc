"""Elementary functions as formulas, each within 4 units in the last place, in float32 and float64.

Arguments are limited by comparisons that are false for NaN, so that a NaN passes through. The polynomials are
Chebyshev fits.
"""

from __future__ import annotations

import math

from nnx_numba.lanes import (
    Value,
    at_least,
    at_most,
    exponent_and_rest,
    power_of_two,
    scaled,
    shifted,
    unshifted,
    where,
)

_PER_LOG2 = 1.4426950408889634
_LOG2 = math.log(2)
_PEAK = 1 / math.sqrt(2 * math.pi)
_SENSITIVITY = 0.65  # half of d log(Mills' ratio) / d log w, which is 0.5 to 0.8

_EXP_TAIL = (  # (e^r - 1 - r) / r^2 for |r| <= ln 2 / 2
    (0.00139269181, 0.00836376702, 0.0416665502, 0.166665734, 0.5),
    (
        *(2.0915433598076005e-9, 2.5106262550879079e-8, 2.755727183153613e-7, 2.755725286336732e-6),
        *(2.4801587326990049e-5, 0.00019841269876840356, 0.0013888888888883332, 0.0083333333333255517),
        *(0.04166666666666667, 0.16666666666666671, 0.5),
    ),
)
_ATANH_TAIL = (  # (atanh(s) / s - 1) / s^2 of z = s^2 for s <= 1/3
    (0.116121646, 0.108532879, 0.14296179, 0.199998532, 0.333333337),
    (
        *(0.078152889004614252, 0.037460718977753837, 0.054225891974400074, 0.058671395306515987),
        *(0.066675893157246279, 0.076922719824302746, 0.090909099489813572, 0.11111111099118385),
        *(0.1428571428580005, 0.19999999999999761, 0.33333333333333333),
    ),
)
_MILLS_TAIL = (  # (1 - Phi(a)) / (sqrt(2 pi) phi(a) w) of t = 1 - 2 w
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


def _reduced(x: Value, n: Value) -> Value:
    """The rest x - n ln 2, with ln 2 in two parts, the first so short that n times it is exact."""
    high = x.constant(0.693359375, float.fromhex("0x1.62e42fee00000p-1"))
    low = x.constant(-2.12194440054690583e-4, 1.90821492927058770e-10)
    return (x - n * high) - n * low


def _growth(r: Value) -> Value:
    """e^r - 1 for |r| <= ln 2 / 2."""
    return r + r * r * r.polynomial(*_EXP_TAIL)


def _limited(x: Value) -> Value:
    """x between where e^x is 0 and where it is infinite."""
    return at_most(at_least(x, x.constant(-104.0, -746.0)), x.constant(89.0, 710.0))


def exp(x: Value) -> Value:
    """e^x, subnormal results included."""
    x = _limited(x)
    exponent = shifted(x * _PER_LOG2)
    return scaled(1.0 + _growth(_reduced(x, unshifted(exponent))), exponent)


def exp_sum(x: Value, tail: Value) -> Value:
    """e^(x + tail) for a tail small against x, as exactly as if the sum were not rounded."""
    x = _limited(x)
    exponent = shifted((x + tail) * _PER_LOG2)
    return scaled(1.0 + _growth(_reduced(x, unshifted(exponent)) + tail), exponent)


def exp_falling(x: Value) -> Value:
    """e^x for x <= 0, in half of the time that `exp` takes; results below the normal numbers are 0."""
    exponent = shifted(x * _PER_LOG2)
    power = power_of_two(exponent)
    result = power + power * _growth(_reduced(x, unshifted(exponent)))
    return where(x < x.constant(-87.6, -708.7), 0.0, result)


def expm1(x: Value) -> Value:
    """e^x - 1 for x <= 0; exact to the last places also near 0, where 2^n is 1."""
    x = at_least(x, x.constant(-20.0, -40.0))  # it is -1 below
    exponent = shifted(x * _PER_LOG2)
    power = power_of_two(exponent)
    return power * _growth(_reduced(x, unshifted(exponent))) + (power - 1.0)


def log(x: Value) -> Value:
    """The natural logarithm of normal, finite x > 0."""
    n, m = exponent_and_rest(x)
    s = (m - 1.0) / (m + 1.0)
    z = s * s
    return n * _LOG2 + (2.0 * (s + s * z * z.polynomial(*_ATANH_TAIL)) + (x - x))  # the last is 0, or NaN


def log1p(x: Value) -> Value:
    """log(1 + x) for 0 <= x <= 1, as 2 atanh(x / (2 + x))."""
    s = x / (2.0 + x)
    z = s * s
    return 2.0 * (s + s * z * z.polynomial(*_ATANH_TAIL))


def tanh(x: Value) -> Value:
    """The hyperbolic tangent, as -(e^-2|x| - 1) / (e^-2|x| + 1).

    What is left after multiples of ln 2 needs no second part here: where there are many, e^-2|x| is small beside 1.
    """
    size = at_most(abs(x), x.constant(40.0, 300.0))
    exponent = shifted(size * (-2 * _PER_LOG2))
    power = power_of_two(exponent)
    e = power * _growth(-2.0 * size - unshifted(exponent) * _LOG2) + (power - 1.0)
    return (e / (2.0 + e)).called("copysign", x)


def sigmoid(x: Value) -> Value:
    """1 / (1 + e^-x); results below the normal numbers are 0."""
    limited = at_most(x, x.constant(87.0, 708.0))  # it is 1 beyond
    exponent = shifted(limited * -_PER_LOG2)
    power = power_of_two(exponent)
    e = power + power * _growth(_reduced(-limited, unshifted(exponent)))
    return where(x < x.constant(-88.3, -709.4), 0.0, 1.0 / (1.0 + e))


def softplus(x: Value) -> Value:
    """log(1 + e^x)."""
    return at_least(x, 0.0) + log1p(exp_falling(-abs(x)))


def silu(x: Value) -> Value:
    """x / (1 + e^-x), which is a normal number where the sigmoid of x no longer is."""
    limited = at_least(x, -1000.0)  # e^x is 0 beyond, and infinity times 0 would be NaN
    e = exp(-abs(x))
    return where(x < 0.0, limited * e, limited) / (1.0 + e)


def bell(x: Value) -> Value:
    """e^(-x^2 / 2), with x split so that the square of its head is exact."""
    size = at_most(abs(x), x.constant(15.0, 40.0))  # 0 beyond
    steps = x.constant(128.0, 1024.0)
    head = (size * steps).called("floor") * x.constant(1 / 128, 1 / 1024)
    return exp_sum(-0.5 * head * head, -0.5 * (size - head) * (size + head))


def normal_cdf(x: Value) -> Value:
    """Phi(x), by a fit of Mills' ratio in w = 2 / (2 + |x|)."""
    size = at_most(abs(x), x.constant(15.0, 40.0))
    total = 2.0 + size
    w = 2.0 / total
    upper = bell(size) * (w * (1.0 - 2.0 * w).polynomial(*_MILLS_TAIL))
    lost = (2.0 - w * total) - w * (size - (total - 2.0))  # 2 x the relative error that rounding left in w
    upper = upper + upper * (_SENSITIVITY * lost)
    return where(x < 0.0, upper, 1.0 - upper)


def normal_density(x: Value) -> Value:
    """The derivative of Phi."""
    return _PEAK * bell(x)
