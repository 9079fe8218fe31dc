"""Convolution and pooling of the NumPy backend: where blocks, phases and runs of pixels end."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnx import reference
from nnx.interface import Tape, Window
from nnx_numpy import NumpyBackend
from nnx_numpy.columns import _COLUMNS, blocks

BACKEND = NumpyBackend()
PAIR = st.tuples(st.integers(1, 3), st.integers(1, 3))
EDGE = st.tuples(st.integers(0, 3), st.integers(0, 3))
WINDOWS = st.builds(Window, PAIR, PAIR, EDGE, EDGE, PAIR)
SAME = Window((3, 3), (1, 1), (1, 1), (1, 1))


def normal(*shape: int, dtype: str = "float64", seed: int = 0) -> Any:
    return BACKEND.asarray(np.random.default_rng(seed).standard_normal(shape), dtype)


def convolved(x: Any, w: Any, window: Window, groups: int = 1) -> dict[str, tuple[Any, Any]]:
    """Return all results of both kernels, as computed and by the reference."""
    shape = (x.shape[0], *window.places(*x.shape[1:3]), w.shape[3])
    b, dy = normal(w.shape[3]), normal(*shape, seed=2)
    results: dict[str, list[Any]] = {"y": [], "dz": [], "dx": [], "dw": [], "db": []}
    for engine, first in ((BACKEND, ()), (reference, (BACKEND.xp,))):
        y, dz, dx = (np.full(like, np.nan, x.dtype) for like in (shape, shape, x.shape))
        dw, db = np.full(w.shape, np.nan, x.dtype), np.full(b.shape, np.nan, x.dtype)
        engine.conv2d(*first, x, w, b, y, window, groups, "tanh", 0.0)
        engine.conv2d_backward(*first, x, y, dy, w, dz, dx, dw, db, window, groups, "tanh", 0.0)
        for name, result in zip(results, (y, dz, dx, dw, db), strict=True):
            results[name].append(result)
    return {name: (pair[0], pair[1]) for name, pair in results.items()}


def assert_agree(results: dict[str, tuple[Any, Any]]) -> None:
    """Compare in float64: sums of up to 1e5 terms of size 1 differ by far less than 1e-9 with their order."""
    for name, (got, expected) in results.items():
        np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-9, err_msg=name)


@given(WINDOWS, st.sampled_from([(1, 1, 1), (3, 5, 1), (8, 3, 1), (4, 6, 2), (3, 6, 3), (3, 3, 3)]))
@settings(max_examples=150, deadline=None, derandomize=True)
def test_any_window_agrees_with_the_reference(window: Window, channels: tuple[int, int, int]) -> None:
    inputs, outputs, groups = channels
    x, w = normal(2, 8, 7, inputs), normal(*window.size, inputs // groups, outputs, seed=1)
    if min(window.places(8, 7)) >= 1:
        assert_agree(convolved(x, w, window, groups))


@pytest.mark.parametrize("shape", [(41, 12, 12, 8), (2, 130, 70, 8), (13, 60, 50, 1), (9, 40, 40, 3)])
@pytest.mark.parametrize("window", [SAME, Window((3, 3), (2, 2), (1, 1), (0, 0)), Window((1, 1))])
def test_blocks_of_images_and_of_rows_join_without_a_seam(shape: tuple[int, ...], window: Window) -> None:
    places = window.places(*shape[1:3])
    cut = blocks(shape[0], places, window.size[0] * window.size[1] * shape[3])
    assert window.size == (1, 1) or len(list(cut)) > 1
    assert_agree(convolved(normal(*shape), normal(*window.size, shape[3], 4, seed=1), window))


def test_images_are_read_anew_in_every_replay_and_not_while_it_is_planned() -> None:
    x, w, dy = normal(3, 9, 8, 10, seed=1)[..., ::2], normal(3, 3, 5, 4), normal(3, 9, 8, 4)
    y, dx, dw = np.zeros(dy.shape), np.zeros(x.shape), np.zeros(w.shape)
    tape = Tape()
    tape.append(BACKEND.conv2d, (x, w, None, y, SAME, 1, "identity", 0.0))
    tape.append(BACKEND.conv2d_backward, (x, y, dy, w, None, dx, dw, None, SAME, 1, "identity", 0.0))
    program = BACKEND.compile(tape)
    assert not any(array.any() for array in (y, dx, dw))
    for scale in (1.0, -2.0):
        for array in (x, w, dy):
            array *= scale
        program.run(1)
        replayed = [array.copy() for array in (y, dx, dw)]
        for call in tape.calls:
            call.kernel(*call.arguments)
        for eager, array in zip((y, dx, dw), replayed, strict=True):
            np.testing.assert_array_equal(array, eager)


def test_blocks_cover_every_place_once_and_stay_in_cache() -> None:
    for count, places, depth in ((7, (5, 6), 9), (3, (400, 300), 27), (200, (28, 28), 9), (1, (3, 90000), 4)):
        seen = np.zeros((count, places[0]), int)
        for images, rows in blocks(count, places, depth):
            seen[images, rows] += 1
            size = (images.stop - images.start) * (rows.stop - rows.start) * places[1] * depth
            assert size <= max(_COLUMNS, places[1] * depth)
        assert (seen == 1).all()


def test_a_nan_stays_within_the_windows_that_hold_it() -> None:
    x, w = normal(2, 6, 6, 2, dtype="float32"), normal(3, 3, 2, 4, dtype="float32")
    x[1, 2, 3, 0] = np.nan
    y = np.empty((2, 6, 6, 4), np.float32)
    BACKEND.conv2d(x, w, None, y, SAME, 1, "identity", 0.0)
    touched = np.zeros(y.shape, bool)
    touched[1, 1:4, 2:5] = True
    np.testing.assert_array_equal(np.isnan(y), touched)


def test_the_gradient_of_a_nan_place_stays_under_its_window() -> None:
    dz, w = normal(2, 6, 6, 4, dtype="float32"), normal(3, 3, 2, 4, dtype="float32")
    dz[0, 3, 2, 1] = np.nan
    x, dx, dw = normal(2, 6, 6, 2, dtype="float32"), np.empty((2, 6, 6, 2), np.float32), np.empty_like(w)
    BACKEND.conv2d_backward(x, dz, dz, w, None, dx, dw, None, SAME, 1, "identity", 0.0)
    touched = np.zeros(dx.shape, bool)
    touched[0, 2:5, 1:4] = True
    np.testing.assert_array_equal(np.isnan(dx), touched)
    np.testing.assert_array_equal(np.isnan(dw), np.broadcast_to(np.arange(4) == 1, dw.shape))


@given(PAIR, PAIR, EDGE, EDGE, st.sampled_from([1, 2, 8]))
@settings(max_examples=150, deadline=None, derandomize=True)
def test_any_pooling_agrees_with_the_reference(
    size: tuple[int, int], stride: tuple[int, int], before: tuple[int, int], after: tuple[int, int], channels: int
) -> None:
    first, last = (tuple(min(a, b - 1) for a, b in zip(edge, size, strict=True)) for edge in (before, after))
    window, x = Window(size, stride, first, last), np.round(normal(3, 7, 8, channels))  # rounded: with ties
    x[0, 2, 3], x[1, 1:5, 2:6], x[2, 3:6] = np.nan, -np.inf, np.inf
    shape = (3, *window.places(7, 8), channels)
    dy = normal(*shape, seed=1)
    results: list[list[Any]] = []
    for engine, space in ((BACKEND, ()), (reference, (BACKEND.xp,))):
        y, average = np.empty(shape), np.empty(shape)
        index, dx, dx_average = np.empty(shape, np.int32), np.empty(x.shape), np.empty(x.shape)
        with np.errstate(invalid="ignore"):  # inf - inf is part of the data
            engine.max_pool(*space, x, y, index, window)
            engine.max_pool_backward(*space, index, dy, dx, window)
            engine.average_pool(*space, x, average, window)
            engine.average_pool_backward(*space, dy, dx_average, window)
        results.append([index, y, dx, average, dx_average])
    for got, expected in zip(*results, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-12)


def test_the_largest_is_never_in_the_padding_even_if_all_pixels_are_minus_infinity() -> None:
    x, window = np.full((1, 4, 4, 1), -np.inf), Window((3, 3), (1, 1), (2, 2), (2, 2))
    y, index = np.empty((1, 6, 6, 1)), np.empty((1, 6, 6, 1), np.int32)
    BACKEND.max_pool(x, y, index, window)
    first = np.maximum(0, 2 - np.arange(6))
    np.testing.assert_array_equal(index[0, :, :, 0], first[:, None] * 3 + first)


def test_indices_of_windows_of_more_taps_than_a_byte_counts() -> None:
    x = np.arange(2 * 15 * 14 * 3, dtype=np.float32).reshape(2, 15, 14, 3)
    y, index, dx = np.empty((2, 1, 1, 3), np.float32), np.empty((2, 1, 1, 3), np.int32), np.empty_like(x)
    window = Window((15, 14), (15, 14))
    BACKEND.max_pool(x, y, index, window)
    assert (index == 15 * 14 - 1).all()
    BACKEND.max_pool_backward(index, y, dx, window)
    assert np.count_nonzero(dx) == y.size
    np.testing.assert_array_equal(dx[:, -1, -1], y[:, 0, 0])


def test_threads_convolve_in_scratch_of_their_own() -> None:
    threads, window = 4, SAME
    inputs = [normal(6, 20, 20, 5, dtype="float32", seed=seed) for seed in range(threads)]
    w, shape = normal(3, 3, 5, 7, dtype="float32"), (6, 20, 20, 7)
    expected = [np.empty(shape, np.float32) for _ in inputs]
    for x, y in zip(inputs, expected, strict=True):
        BACKEND.conv2d(x, w, None, y, window, 1, "relu", 0.0)
    mismatches: list[int] = []
    start = threading.Barrier(threads)

    def work(index: int) -> None:
        y = np.empty(shape, np.float32)
        start.wait()
        for _ in range(20):
            BACKEND.conv2d(inputs[index], w, None, y, window, 1, "relu", 0.0)
            if not np.array_equal(y, expected[index]):
                mismatches.append(index)

    workers = [threading.Thread(target=work, args=(index,)) for index in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not mismatches
