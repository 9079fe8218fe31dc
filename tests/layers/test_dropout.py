"""Dropout."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from numpy.typing import NDArray
from support.gradients import Bench, check_gradients, mount

from nnx import Backend, Dropout, Sequential, SpatialDropout, registry
from nnx.errors import OptionError, ShapeError
from nnx.layers import Chain


def mask(bench: Bench, rows: int, features: int) -> NDArray[np.bool_]:
    return bench.run(np.ones((rows, features)))[0] != 0


@pytest.mark.parametrize("shape", [(40,), (3, 7)])
def test_gradients_are_the_slopes(backend: Backend, shape: tuple[int, ...]) -> None:
    check_gradients(Dropout(0.4), shape, backend)


def test_the_backward_pass_drops_what_the_forward_pass_dropped(backend: Backend) -> None:
    bench = mount(Dropout(0.5), (100,), backend)
    y, dx = bench.run(np.ones((20, 100)), np.ones((20, 100)))
    np.testing.assert_array_equal(y, dx)


def test_kept_elements_are_scaled_so_that_the_expectation_stays(backend: Backend) -> None:
    y, _ = mount(Dropout(0.25), (500,), backend).run(np.ones((40, 500)))
    np.testing.assert_allclose(y[y != 0], 1 / 0.75, rtol=1e-15)
    share = (y != 0).mean()
    assert abs(share - 0.75) < 5 * np.sqrt(0.75 * 0.25 / y.size)


def test_prediction_passes_through(backend: Backend) -> None:
    x = np.random.default_rng(0).normal(size=(4, 5))
    np.testing.assert_array_equal(mount(Dropout(0.9), (5,), backend).run(x, train=False)[0], x)


def test_rate_zero_drops_nothing(backend: Backend) -> None:
    x = np.random.default_rng(0).normal(size=(4, 5))
    y, dx = mount(Dropout(0), (5,), backend).run(x, x)
    np.testing.assert_array_equal(y, x)
    np.testing.assert_array_equal(dx, x)


@pytest.mark.parametrize("rate", [1 - 1e-9, 1e-9])
def test_extreme_rates_stay_finite(backend: Backend, rate: float) -> None:
    y, _ = mount(Dropout(rate), (50,), backend).run(np.ones((10, 50)))
    assert np.isfinite(y).all()


def test_masks_are_the_same_bits_on_every_backend(backend: Backend) -> None:
    reference = registry.get("generic:numpy")
    ours, theirs = (mask(mount(Dropout(0.3), (33,), engine), 17, 33) for engine in (backend, reference))
    np.testing.assert_array_equal(ours, theirs)


def test_masks_change_with_step_and_seed(backend: Backend) -> None:
    bench = mount(Dropout(0.5), (64,), backend)
    first = mask(bench, 8, 64)
    bench.layer._step[...] = 1
    assert (mask(bench, 8, 64) != first).any()
    assert (mask(mount(Dropout(0.5), (64,), backend, seed=4), 8, 64) != first).any()


def test_two_layers_of_a_model_draw_masks_of_their_own(backend: Backend) -> None:
    share = mask(mount(Chain([Dropout(0.5), Dropout(0.5)]), (100,), backend), 20, 100).mean()
    assert abs(share - 0.25) < 5 * np.sqrt(0.25 * 0.75 / 2000)


def test_a_row_keeps_its_mask_whatever_the_batch_holds_besides(backend: Backend) -> None:
    bench = mount(Dropout(0.5), (20,), backend)
    np.testing.assert_array_equal(mask(bench, 3, 20), mask(bench, 9, 20)[:3])


@pytest.mark.parametrize("kind", [Dropout, SpatialDropout])
@pytest.mark.parametrize("rate", [1, 1.0, -0.1, 2, float("nan"), "0.5", None])
def test_rates_out_of_range_are_refused(kind: type, rate: object) -> None:
    with pytest.raises(OptionError, match=r"rate must be a number in \[0, 1\), got "):
        kind(rate)


@pytest.mark.parametrize("shape", [(6,), (4, 6), (3, 2, 6)])
def test_gradients_of_whole_channels_are_the_slopes(backend: Backend, shape: tuple[int, ...]) -> None:
    check_gradients(SpatialDropout(0.4), shape, backend)


@pytest.mark.parametrize("shape", [(20,), (5, 20), (3, 4, 20)])
def test_channels_are_dropped_whole_and_scaled_so_that_the_expectation_stays(
    backend: Backend, shape: tuple[int, ...]
) -> None:
    y, dx = mount(SpatialDropout(0.25), shape, backend).run(np.ones((30, *shape)), np.ones((30, *shape)))
    np.testing.assert_array_equal(y, dx)
    places = y.reshape(30, -1, 20)
    np.testing.assert_array_equal(places, np.broadcast_to(places[:, :1], places.shape))
    np.testing.assert_allclose(y[y != 0], 1 / 0.75, rtol=1e-15)
    share = (places[:, 0] != 0).mean()
    assert abs(share - 0.75) < 5 * np.sqrt(0.75 * 0.25 / 600)


def test_without_places_whole_channels_are_single_elements(backend: Backend) -> None:
    x = np.ones((9, 20))
    one, two = (mount(kind(0.5), (20,), backend).run(x)[0] for kind in (Dropout, SpatialDropout))
    np.testing.assert_array_equal(one, two)


def test_prediction_passes_channels_through(backend: Backend) -> None:
    x = np.random.default_rng(0).normal(size=(4, 3, 5))
    np.testing.assert_array_equal(mount(SpatialDropout(0.9), (3, 5), backend).run(x, train=False)[0], x)


def test_inputs_without_channels_are_refused_when_the_model_is_built() -> None:
    with pytest.raises(ShapeError, match=r"SpatialDropout\(0.5\) expects inputs \(N, ..., C\), got "):
        Sequential([SpatialDropout(0.5)], input_shape=(), backend="generic:numpy")


def test_random_bits_of_many_short_rows_are_made_without_allocation_in_the_numpy_backend() -> None:
    numpy, arguments = registry.get("numpy"), (np.zeros((), np.int64), np.empty((4000, 8), np.int32), 1, 2)
    numpy.random_bits(*arguments)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    tracemalloc.reset_peak()
    numpy.random_bits(*arguments)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak - before < 8192, "views and numbers aside, nothing is allocated"
