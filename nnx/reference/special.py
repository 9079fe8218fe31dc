"""The normal distribution function, which the array API standard lacks.

erf by W. J. Cody, "Rational Chebyshev approximations for the error function", Math. Comp. 23 (1969):
relative error below 6e-19 in each of three ranges, so that rounding alone is left in float64.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

Array = Any

_CENTRE = (  # erf(y) / y for y <= 0.46875, in powers of y^2, highest first
    (
        0.185777706184603153,
        3.16112374387056560,
        113.864154151050156,
        377.485237685302021,
        3209.37758913846947,
    ),
    (1.0, 23.6012909523441209, 244.024637934444173, 1282.61652607737228, 2844.23683343917062),
)
_FLANK = (  # e^(y^2) erfc(y) for 0.46875 < y <= 4, in powers of y
    (
        *(2.15311535474403846e-8, 0.564188496988670089, 8.88314979438837594, 66.1191906371416295),
        *(298.635138197400131, 881.952221241769090, 1712.04761263407058, 2051.07837782607147),
        1230.33935479799725,
    ),
    (
        *(1.0, 15.7449261107098347, 117.693950891312499, 537.181101862009858, 1621.38957456669019),
        *(3290.79923573345963, 4362.61909014324716, 3439.36767414372164, 1230.33935480374942),
    ),
)
_TAIL = (  # for y > 4, in powers of 1 / y^2: e^(y^2) erfc(y) = (1 / sqrt(pi) - r / y^2) / y
    (
        *(0.0163153871373020978, 0.305326634961232344, 0.360344899949804439),
        *(0.125781726111229246, 0.0160837851487422766, 6.58749161529837803e-4),
    ),
    (
        *(1.0, 2.56852019228982242, 1.87295284992346047),
        *(0.527905102951428412, 0.0605183413124413191, 2.33520497626869185e-3),
    ),
)


def _rational(x: Array, terms: tuple[Sequence[float], Sequence[float]]) -> Array:
    numerator, denominator = (_polynomial(x, coefficients) for coefficients in terms)
    return numerator / denominator


def _polynomial(x: Array, coefficients: Sequence[float]) -> Array:
    total = 0 * x + coefficients[0]
    for coefficient in coefficients[1:]:
        total = total * x + coefficient
    return total


def _bell(xp: Any, size: Array) -> Array:
    """e^(-x^2 / 2), with x split after four binary places so that the square of the first part is exact."""
    head = xp.floor(size * 16) / 16
    return xp.exp(-0.5 * head * head) * xp.exp(-0.5 * (size - head) * (size + head))


def normal_cdf(xp: Any, x: Array) -> Array:
    """Phi(x) = (1 + erf(x / sqrt 2)) / 2, to a few units in the last place also where it is tiny."""
    size = xp.where(xp.abs(x) > 40, xp.full_like(x, 40.0), xp.abs(x))  # beyond 40 Phi is 0 or 1; NaN stays
    y = size * math.sqrt(0.5)
    one = xp.ones_like(y)
    centre = y * _rational(xp.where(y <= 0.46875, y * y, one), _CENTRE)  # erf
    inverse = 1 / xp.where(y > 4, y * y, one)
    far = (1 / math.sqrt(math.pi) - inverse * _rational(inverse, _TAIL)) * xp.sqrt(inverse)
    flank = _rational(xp.where(y <= 4, y, one), _FLANK)
    upper = 0.5 * xp.where(y <= 4, flank, far) * _bell(xp, size)  # 1 - Phi(|x|)
    upper = xp.where(y <= 0.46875, 0.5 - 0.5 * centre, upper)
    return xp.where(x < 0, upper, 1 - upper)
