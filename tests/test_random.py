"""Random numbers of the host."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from nnx import random
from nnx.errors import OptionError

seeds = some.integers(0, 2**64 - 1)


@given(some.integers(0, 3000), seeds, seeds, some.integers(0, 10**6))
def test_a_permutation_holds_every_row_once(count: int, seed: int, stream: int, position: int) -> None:
    order = random.permutation(count, seed, stream, position)
    assert order.dtype == np.int64
    np.testing.assert_array_equal(np.sort(order), np.arange(count))
    np.testing.assert_array_equal(order, random.permutation(count, seed, stream, position))


def test_every_permutation_of_a_few_rows_is_equally_likely() -> None:
    draws = 6000
    found = [tuple(random.permutation(3, 1, 2, position).tolist()) for position in range(draws)]
    for order in set(found):
        error = math.sqrt(draws * 1 / 6 * 5 / 6)
        assert abs(found.count(order) - draws / 6) < 5 * error
    assert len(set(found)) == 6


@pytest.mark.parametrize("changed", [(2, 2, 3), (1, 3, 3), (1, 2, 4)])
def test_seed_stream_and_position_each_give_another_order(changed: tuple[int, int, int]) -> None:
    assert (random.permutation(50, *changed) != random.permutation(50, 1, 2, 3)).any()


def test_words_are_those_of_philox_with_the_key_of_seed_and_stream() -> None:
    expected = np.random.Philox(key=5 + (9 << 64), counter=4 << 128).random_raw(10)
    np.testing.assert_array_equal(random.raw_words(10, 5, 9, 4), expected)


def test_values_never_change_from_version_to_version() -> None:
    assert random.stream_of("shuffle") == 814485138493480667
    assert random.permutation(8, 1, 2, 3).tolist() == [2, 5, 6, 1, 7, 3, 0, 4]
    assert random.permutation(8, 1, 2).tolist() == [4, 2, 0, 6, 1, 5, 7, 3]
    assert random.uniform((2,), 1, 2).tolist() == [0.30931491118583454, 0.3569562367935075]
    normal = [0.8372903770677775, 0.9129311287903441, 0.19770535586047028, -0.2228042779168635]
    np.testing.assert_allclose(random.normal((3,), 1, 2), normal[:3], rtol=1e-14)
    np.testing.assert_allclose(random.normal((4,), 1, 2), normal, rtol=1e-14)


@pytest.mark.parametrize("count", [1, 2**14, 2**14 + 1, 2**15 + 1, 2**16 + 3])
def test_values_drawn_block_by_block_are_those_of_all_words_at_once(count: int) -> None:
    def units(size: int) -> np.ndarray:
        return (random.raw_words(size, 5, 9) >> np.uint64(11)) * 2.0**-53

    np.testing.assert_array_equal(random.uniform((count,), 5, 9), units(count))
    radii, angles = np.split(units(count + count % 2), 2)
    radii, angles = np.sqrt(-2.0 * np.log1p(-radii)), 2.0 * np.pi * angles
    expected = np.concatenate([radii * np.cos(angles), radii * np.sin(angles)])[:count]
    np.testing.assert_array_equal(random.normal((count,), 5, 9), expected)


@given(seeds, seeds)
def test_uniform_values_lie_in_the_half_open_interval(seed: int, stream: int) -> None:
    values = random.uniform((64,), seed, stream)
    assert values.min() >= 0
    assert values.max() < 1


@pytest.mark.parametrize("shape", [(), (1,), (3,), (4, 5), (0,), (2, 0)])
def test_normal_values_have_the_shape_odd_counts_and_none_included(shape: tuple[int, ...]) -> None:
    assert random.normal(shape, 1, 2).shape == shape


@pytest.mark.parametrize("seed", [0, 2**64 - 1, np.int32(7), np.uint64(2**64 - 1)])
def test_seeds_in_range_are_taken(seed: object) -> None:
    assert random.check_seed(seed) == int(seed)


@pytest.mark.parametrize("seed", [-1, 2**64, 1.0, "1", None, True])
def test_seeds_out_of_range_are_refused(seed: object) -> None:
    with pytest.raises(OptionError, match=r"seed must be an integer from 0 to 2\*\*64 - 1, got "):
        random.check_seed(seed)
