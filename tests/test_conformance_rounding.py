"""Running error analysis bounds what rounding does, and not much more."""

from __future__ import annotations

import numpy as np
import pytest

from nnx.conformance.rounding import Precision, Rounded, Rounding
from nnx.interface import FUSED
from nnx.reference.activations import function

FLOAT32 = Precision(float(np.finfo("float32").eps), float(np.finfo("float32").tiny))
XP = Rounding(FLOAT32)


def test_error_of_a_long_product_in_float32_stays_within_the_bound_in_any_order() -> None:
    draw = np.random.Generator(np.random.PCG64(3)).standard_normal
    a, b = (draw(shape).astype("float32").astype("float64") for shape in ((9, 1000), (1000, 7)))
    made = Rounded(FLOAT32, a) @ Rounded(FLOAT32, b)
    one_by_one = np.zeros((9, 7), "float32")
    for k in np.argsort(a[0]):
        one_by_one += np.outer(a[:, k], b[k]).astype("float32")
    assert (np.abs(one_by_one - made.value) <= made.error).all()


def test_cancelling_terms_leave_their_own_errors() -> None:
    """1 - y and what is made of it: the error of y counts, however small the difference is."""
    y = XP.tanh(Rounded(FLOAT32, [9.0]))
    difference = 1 - y
    assert difference.value[0] < 1e-7
    assert difference.error[0] >= y.error[0] > 1e-7


@pytest.mark.parametrize("activation", FUSED)
def test_error_of_the_argument_passes_through_an_activation_even_across_its_kink(activation: str) -> None:
    x, error = np.linspace(-20, 20, 2001), 0.013
    made = function(XP, Rounded(FLOAT32, x, error), activation, 0.3)
    for moved in (x - 0.999 * error, x + 0.999 * error):
        there = np.asarray(function(np, moved, activation, 0.3))
        assert (np.abs(there - made.value) <= made.error).all()


def test_error_is_carried_on_by_the_slope_and_not_by_the_worst_slope() -> None:
    """Where tanh is flat an error of its argument all but vanishes: bounds of a recurrence do not explode."""
    flat = XP.tanh(Rounded(FLOAT32, [5.0], 1e-3))
    assert flat.error[0] < 1e-6


def test_choice_by_lengths_is_never_in_doubt_and_padding_is_exact() -> None:
    real, zeros = Rounded(FLOAT32, np.ones(3), 0.1), Rounded(FLOAT32, np.zeros(3))
    chosen = XP.where(np.asarray([True, False, True]), real, zeros)
    np.testing.assert_array_equal(chosen.error, [0.1, 0.0, 0.1])
