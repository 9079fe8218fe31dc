"""Pooling: windows at edges, ties and numbers that are none, in lines of every number of channels."""

from __future__ import annotations

from typing import Any

import array_api_compat.numpy as xp
import numpy as np
import pytest

pytest.importorskip("numba")

from nnx import reference
from nnx.interface import Backend, Window
from nnx_numba import team

WINDOWS = {
    "apart": Window((2, 2), (2, 2)),
    "overlapping": Window((3, 3), (2, 2), (1, 1), (1, 1)),
    "sliding": Window((3, 2), (1, 1), (0, 1), (2, 0)),
    "leaving pixels out": Window((2, 1), (3, 2)),
    "single pixels": Window((1, 1)),
    "the whole image": Window((7, 6)),
}
CHANNELS = [1, 3, 8, 16, 17, 40]


def images(channels: int, kind: str, count: int = 2) -> Any:
    """Return images of few values, so that there are ties, with infinities and NaN among them."""
    x = np.random.default_rng(channels).integers(-2, 3, (count, 7, 6, channels)).astype(kind)
    for first, value in ((3, np.nan), (5, np.inf), (8, -np.inf)):
        x.reshape(-1)[first::29] = value
    return x


def outputs(x: Any, window: Window) -> tuple[Any, Any]:
    shape = (x.shape[0], *window.places(*x.shape[1:3]), x.shape[3])
    return np.full(shape, 7, x.dtype), np.full(shape, -7, np.int32)


@pytest.mark.parametrize("kind", ["f4", "f8"])
@pytest.mark.parametrize("channels", CHANNELS)
@pytest.mark.parametrize("window", WINDOWS.values(), ids=WINDOWS)
def test_the_largest_is_the_first_of_equals(backend: Backend, window: Window, channels: int, kind: str) -> None:
    x = images(channels, kind)
    found, expected = outputs(x, window), outputs(x, window)
    backend.max_pool(x, *found, window)
    reference.max_pool(xp, x, *expected, window)
    for part, wanted in zip(found, expected, strict=True):
        np.testing.assert_array_equal(part, wanted)


def test_a_window_of_lowest_values_finds_its_first_pixel_and_not_the_padding(backend: Backend) -> None:
    x, window = np.full((1, 3, 3, 5), -np.inf, np.float32), Window((2, 2), (2, 2), (1, 1), (0, 0))
    y, index = outputs(x, window)
    backend.max_pool(x, y, index, window)
    assert (y == -np.inf).all()
    np.testing.assert_array_equal(index[0, :, :, 0], [[3, 2], [1, 0]])


@pytest.mark.parametrize("kind", ["f4", "f8"])
@pytest.mark.parametrize("channels", CHANNELS)
@pytest.mark.parametrize("window", WINDOWS.values(), ids=WINDOWS)
def test_gradients_reach_the_pixels_that_windows_found(
    backend: Backend, window: Window, channels: int, kind: str
) -> None:
    x = images(channels, kind)
    dy, index = outputs(x, window)
    reference.max_pool(xp, x, dy.copy(), index, window)
    dy[...] = np.random.default_rng(0).integers(-9, 9, dy.shape)  # sums of few integers are exact
    found, expected = np.full_like(x, np.nan), np.empty_like(x)
    backend.max_pool_backward(index, dy, found, window)
    reference.max_pool_backward(xp, index, dy, expected, window)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("kind", ["f4", "f8"])
@pytest.mark.parametrize("channels", CHANNELS)
@pytest.mark.parametrize("window", WINDOWS.values(), ids=WINDOWS)
def test_averages_leave_the_padding_out(backend: Backend, window: Window, channels: int, kind: str) -> None:
    x = np.random.default_rng(2).standard_normal((2, 7, 6, channels)).astype(kind)
    y, _ = outputs(x, window)
    expected, dx, wanted = np.empty(y.shape), np.full_like(x, np.nan), np.empty(x.shape)
    backend.average_pool(x, y, window)
    reference.average_pool(xp, x.astype(np.float64), expected, window)
    bound = float(64 * np.finfo(x.dtype).eps)  # sums of at most 42 pixels of about 1
    np.testing.assert_allclose(y, expected, rtol=bound, atol=bound)
    backend.average_pool_backward(y, dx, window)
    reference.average_pool_backward(xp, y.astype(np.float64), wanted, window)
    np.testing.assert_allclose(dx, wanted, rtol=bound, atol=bound)


def test_pools_of_no_images_write_nothing(backend: Backend) -> None:
    memory, window = np.full(128, 7, np.float32), WINDOWS["apart"]
    x = memory[64:64].reshape(0, 7, 6, 3)
    y, index = outputs(x, window)
    y = memory[64:64].reshape(y.shape)
    backend.max_pool(x, y, index, window)
    backend.max_pool_backward(index, y, x, window)
    backend.average_pool(x, y, window)
    backend.average_pool_backward(y, x, window)
    assert (memory == 7).all()


def test_nothing_is_written_outside_the_results(backend: Backend) -> None:
    x, window = images(5, "f4"), WINDOWS["overlapping"]
    y, index = outputs(x, window)
    memory = [np.full(array.size + 128, 7, array.dtype) for array in (y, index, x)]
    y, index, dx = (
        fenced[64:-64].reshape(array.shape) for fenced, array in zip(memory, (y, index, x), strict=True)
    )
    backend.max_pool(x, y, index, window)
    backend.max_pool_backward(index, y, dx, window)
    backend.average_pool(x, y, window)
    backend.average_pool_backward(y, dx, window)
    for fenced in memory:
        assert (fenced[:64] == 7).all()
        assert (fenced[-64:] == 7).all()


def test_the_number_of_threads_changes_no_bit(backend: Backend) -> None:
    x, window, threads = images(8, "f4", 500), WINDOWS["overlapping"], team.num_threads()
    found = []
    try:
        for count in (1, 2):
            backend.set_num_threads(count)
            (y, index), dx = outputs(x, window), np.empty_like(x)
            backend.max_pool(x, y, index, window)
            backend.max_pool_backward(index, np.sqrt(np.abs(np.nan_to_num(y))), dx, window)
            found.append((y, index, dx))
    finally:
        backend.set_num_threads(threads)
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("shape", [(3, 5, 7), (40, 9, 16), (20, 3, 33), (1, 1, 1), (0, 3, 4), (2, 0, 4)], ids=str)
def test_channels_are_dropped_at_all_places_alike(backend: Backend, shape: tuple[int, ...]) -> None:
    x, step = np.random.default_rng(3).standard_normal(shape).astype(np.float32), np.array(3)
    found, expected = np.full_like(x, np.nan), np.empty_like(x)
    backend.channel_dropout(x, step, found, 5, 2**64 - 3, 30000)
    reference.channel_dropout(xp, x, step, expected, 5, 2**64 - 3, 30000)
    np.testing.assert_array_equal(found == 0, expected == 0)
    np.testing.assert_allclose(found, expected, rtol=2e-7)
