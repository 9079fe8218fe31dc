"""Initial weights: their statistics, and their independence of everything but shape, seed and name."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

import nnx
from nnx.errors import OptionError, UnknownNameError
from nnx.initializers import INITIALIZERS, by_group, check_initializer, fans, ones_within

FAN_IN, FAN_OUT = 60, 40
SEEDS = range(20)
VARIANCES = {
    "normal": 1e-4,
    "standard_normal": 1.0,
    "xavier": 1 / FAN_IN,
    "glorot_normal": 2 / (FAN_IN + FAN_OUT),
    "glorot_uniform": 2 / (FAN_IN + FAN_OUT),
    "he": 2 / FAN_IN,
    "he_uniform": 2 / FAN_IN,
    "lecun": 1 / FAN_IN,
    "lecun_uniform": 1 / FAN_IN,
}
CENTRED = [*VARIANCES, "orthogonal"]


def draw(name: str, shape: tuple[int, ...] = (FAN_IN, FAN_OUT)) -> np.ndarray:
    return np.stack([INITIALIZERS[name](shape, seed, 7) for seed in SEEDS])


@pytest.mark.parametrize("name", VARIANCES)
def test_the_variance_is_that_of_the_paper(name: str) -> None:
    values = draw(name)
    # the mean square of n independent values has a standard error of at most variance * sqrt(2 / n)
    assert abs(np.mean(values**2) / VARIANCES[name] - 1) < 5 * math.sqrt(2 / values.size)


@pytest.mark.parametrize("name", CENTRED)
def test_the_mean_is_zero(name: str) -> None:
    values = draw(name)
    assert abs(values.mean()) < 5 * values.std() / math.sqrt(values.size)


@pytest.mark.parametrize("name", ["glorot_uniform", "he_uniform", "lecun_uniform"])
def test_uniform_rules_fill_their_interval_and_stay_inside(name: str) -> None:
    values, limit = draw(name), math.sqrt(3 * VARIANCES[name])
    assert np.abs(values).max() <= limit
    assert np.abs(values).max() > 0.999 * limit


def test_uniform_lies_between_zero_and_one() -> None:
    values = draw("uniform")
    assert values.min() >= 0
    assert values.max() < 1
    assert abs(values.mean() - 0.5) < 5 * math.sqrt(1 / 12 / values.size)


@pytest.mark.parametrize("name", ["normal", "standard_normal", "he"])
def test_normal_rules_are_normal_far_into_the_tails(name: str) -> None:
    values = draw(name) / math.sqrt(VARIANCES[name])
    for deviations in (1, 2, 3):
        share = math.erfc(deviations / math.sqrt(2))
        error = math.sqrt(share * (1 - share) / values.size)
        assert abs(np.mean(np.abs(values) > deviations) - share) < 5 * error


@pytest.mark.parametrize("shape", [(6, 6), (9, 4), (4, 9), (2, 3, 4), (5,), (1, 1)])
def test_orthogonal_matrices_have_orthonormal_rows_or_columns(shape: tuple[int, ...]) -> None:
    matrix = INITIALIZERS["orthogonal"](shape, 3, 7).reshape(-1, shape[-1])
    if matrix.shape[0] < matrix.shape[1]:
        matrix = matrix.T
    np.testing.assert_allclose(matrix.T @ matrix, np.eye(matrix.shape[1]), atol=1e-12)


@given(
    some.sampled_from(sorted(INITIALIZERS)),
    some.lists(some.integers(1, 9), min_size=1, max_size=4).map(tuple),
    some.integers(0, 2**64 - 1),
    some.integers(0, 2**64 - 1),
)
def test_values_have_the_shape_are_finite_and_come_again(
    name: str, shape: tuple[int, ...], seed: int, stream: int
) -> None:
    values = INITIALIZERS[name](shape, seed, stream)
    assert values.shape == shape
    assert values.dtype == np.float64
    assert np.isfinite(values).all()
    np.testing.assert_array_equal(values, INITIALIZERS[name](shape, seed, stream))


@pytest.mark.parametrize(
    ("shape", "expected"), [((), (1, 1)), ((5,), (5, 5)), ((3, 4), (3, 4)), ((2, 2, 3, 4), (12, 16))]
)
def test_fans_count_connections(shape: tuple[int, ...], expected: tuple[int, int]) -> None:
    assert fans(shape) == expected


def test_a_number_fills_and_a_function_is_called_with_shape_seed_and_stream() -> None:
    np.testing.assert_array_equal(check_initializer(0.25)((2, 3), 0, 0), np.full((2, 3), 0.25))
    made = check_initializer(lambda shape, seed, stream: np.full(shape, seed + stream % 2))
    model = nnx.Sequential(
        [nnx.Dense(2, init=made)], seed=4, dtype="float64", input_shape=(3,), backend="generic:numpy"
    )
    assert set(model.get_weights()["0.weight"].ravel()) <= {4, 5}


def test_weights_depend_on_the_place_of_the_layer_and_not_on_what_was_drawn_before() -> None:
    shallow = nnx.Sequential([nnx.Dense(4), nnx.Dense(4)], input_shape=(4,), backend="generic:numpy")
    other = nnx.Sequential([nnx.Dense(4, init="zeros"), nnx.Dense(4)], input_shape=(4,), backend="generic:numpy")
    weights = shallow.get_weights()
    np.testing.assert_array_equal(weights["1.weight"], other.get_weights()["1.weight"])
    assert (weights["0.weight"] != weights["1.weight"]).any()


def test_unknown_names_are_refused_with_the_nearest_one() -> None:
    with pytest.raises(
        UnknownNameError, match=r"Unknown initializer 'glorot_normall'. Did you mean 'glorot_normal'\?"
    ):
        check_initializer("glorot_normall")


@pytest.mark.parametrize("value", [None, [], math.inf, math.nan])
def test_what_is_no_initializer_is_refused(value: object) -> None:
    with pytest.raises(OptionError, match="an initializer must be a name, a finite number or a function, got "):
        check_initializer(value)


def test_a_function_that_returns_another_shape_is_refused() -> None:
    with pytest.raises(
        nnx.errors.ShapeError, match=r"initializer of '0.weight' must return shape \(3, 2\), got \(2,\)"
    ):
        nnx.Sequential(
            [nnx.Dense(2, init=lambda _shape, _seed, _stream: np.zeros(2))],
            input_shape=(3,),
            backend="generic:numpy",
        )


@pytest.mark.parametrize("name", ["glorot_uniform", "he", "orthogonal"])
def test_each_group_is_drawn_as_a_matrix_of_its_own(name: str) -> None:
    values = by_group(INITIALIZERS[name], 3)((5, 6), 1, 7)
    for group in range(3):
        np.testing.assert_array_equal(
            values[:, 2 * group : 2 * group + 2], INITIALIZERS[name]((5, 2), 1, 7 + group)
        )


def test_groups_wrap_round_at_the_last_stream() -> None:
    values = by_group(INITIALIZERS["uniform"], 2)((2, 2), 1, 2**64 - 1)
    np.testing.assert_array_equal(values[:, 1:], INITIALIZERS["uniform"]((2, 1), 1, 0))


def test_ones_stand_within_their_bounds() -> None:
    np.testing.assert_array_equal(ones_within(2, 4)((6,), 0, 0), [0, 0, 1, 1, 0, 0])


def test_the_fans_of_a_convolution_count_its_window() -> None:
    assert fans((3, 2, 4, 8)) == (3 * 2 * 4, 3 * 2 * 8)
    assert fans((3, 4, 8)) == (3 * 4, 3 * 8)
