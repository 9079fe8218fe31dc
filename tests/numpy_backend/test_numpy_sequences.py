"""Recurrence and embedding of the NumPy backend: what is planned once, and what is read anew in every run."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest

from nnx.interface import Tape, Window
from nnx_numpy import NumpyBackend

COUNT, STEPS, UNITS = 6, 9, 5
GATES = {"simple_rnn": 1, "lstm": 4, "gru": 3}
Calls = list[tuple[Any, tuple[Any, ...]]]


@pytest.fixture
def backend() -> NumpyBackend:
    return NumpyBackend()


def normal(*shape: int, dtype: str = "float32", seed: int = 0) -> Any:
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def tape_of(calls: Calls) -> Tape:
    tape = Tape()
    for kernel, arguments in calls:
        tape.append(kernel, arguments)
    return tape


def recurrence(
    backend: NumpyBackend, kind: str, lengths: Any, xw: Any, reverse: bool = False
) -> tuple[Calls, list[Any]]:
    """Return the calls of a pass forward and backward, and the arrays that they write."""
    count, steps, width = xw.shape
    units = width // GATES[kind]
    rows, state, u = (count, steps, units), (count, units), normal(units, width, seed=1) / units
    empty = lambda *shape: np.full(shape, np.nan, np.float32)  # noqa: E731 (what is not written stands out)
    y, h_last, dxw, du, dh0 = empty(*rows), empty(*state), empty(*xw.shape), empty(*u.shape), empty(*state)
    h0, dy, dh_last = normal(*state, seed=2), normal(*rows, seed=3), normal(*state, seed=4)
    written = [y, h_last, dxw, du, dh0]
    if kind == "simple_rnn":
        forward: tuple[Any, ...] = (xw, u, lengths, h0, y, h_last, "tanh", 0.0, reverse)
        backward: tuple[Any, ...] = (u, lengths, h0, y, dy, dh_last, dxw, du, dh0, "tanh", 0.0, reverse)
    elif kind == "lstm":
        gates, cells, c_last, dc0 = empty(*rows[:2], 4 * units), empty(*rows), empty(*state), empty(*state)
        forward = (xw, u, lengths, h0, h0, y, gates, cells, h_last, c_last, reverse)
        backward = (u, lengths, h0, h0, y, gates, cells, dy, dh_last, dh_last, dxw, du, dh0, dc0, reverse)
        written += [gates, cells, c_last, dc0]
    else:
        gates, dhu, b, db = empty(*rows[:2], 4 * units), empty(*xw.shape), normal(width, seed=5), empty(width)
        forward = (xw, u, b, lengths, h0, y, gates, h_last, reverse)
        backward = (u, lengths, h0, y, gates, dy, dh_last, dxw, dhu, du, db, dh0, reverse)
        written += [gates, dhu, db]
    calls = [(getattr(backend, kind), forward), (getattr(backend, f"{kind}_backward"), backward)]
    return calls, written


@pytest.mark.parametrize("kind", GATES)
def test_planning_a_recurrence_computes_nothing(backend: NumpyBackend, kind: str) -> None:
    calls, written = recurrence(backend, kind, None, normal(COUNT, STEPS, GATES[kind] * UNITS))
    program = backend.compile(tape_of(calls))
    assert all(np.isnan(array).all() for array in written)
    program.run(1)
    assert all(np.isfinite(array).all() for array in written)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("kind", GATES)
def test_lengths_and_inputs_are_read_anew_in_every_replay(backend: NumpyBackend, kind: str, reverse: bool) -> None:
    lengths = np.full(COUNT, STEPS, np.int64)
    xw = normal(COUNT, STEPS, 2 * GATES[kind] * UNITS)[..., ::2]
    calls, written = recurrence(backend, kind, lengths, xw, reverse)
    program = backend.compile(tape_of(calls))
    for seed in range(3):
        lengths[...] = np.random.default_rng(seed).integers(0, STEPS + 1, COUNT)
        xw *= -0.7
        program.run(1)
        replayed = [array.copy() for array in written]
        for kernel, arguments in calls:
            kernel(*arguments)
        for eager, array in zip(written, replayed, strict=True):
            np.testing.assert_array_equal(array, eager)


@pytest.mark.parametrize("rows", [30, 300])
def test_gradients_of_tokens_are_read_anew_and_the_same_in_every_run(backend: NumpyBackend, rows: int) -> None:
    """A table of 100 rows: with 300 tokens most repeat, and they are sorted; with 30 they are not."""
    tokens, dy = np.zeros(2 * rows, np.int64)[::2], normal(rows, 14)[:, ::2]
    dtable, again, expected = (np.full((100, 7), np.nan, np.float32) for _ in range(3))
    program = backend.compile(tape_of([(backend.embedding_backward, (tokens, dy, dtable))]))
    for seed in range(3):
        tokens[...] = np.random.default_rng(seed).integers(0, 20 + 40 * seed, rows)
        dy *= -0.7
        program.run(1)
        backend.embedding_backward(tokens, dy, again)
        np.testing.assert_array_equal(dtable, again)
        expected[...] = 0
        np.add.at(expected, tokens, dy)
        np.testing.assert_allclose(dtable, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("rows", [30, 300])
def test_a_nan_gradient_reaches_the_row_of_its_token_alone(backend: NumpyBackend, rows: int) -> None:
    tokens, dy = np.arange(rows, dtype=np.int64) % 50, normal(rows, 3)
    dy[7, 1] = np.nan
    dtable = np.empty((100, 3), np.float32)
    backend.embedding_backward(tokens, dy, dtable)
    np.testing.assert_array_equal(np.argwhere(np.isnan(dtable)), [[7, 1]])


def images_and_sequences(backend: NumpyBackend) -> tuple[Calls, int]:
    """Return the calls of large kernels of every family, and the bytes of the smallest of their large arrays."""
    images, same, half = (256, 28, 28, 4), Window((3, 3), (1, 1), (1, 1), (1, 1)), Window((2, 2), (2, 2))
    x, w, b = normal(*images), normal(3, 3, 4, 4), normal(4)
    y, dz, dx, dw, db = (np.empty(shape, np.float32) for shape in (images, images, images, w.shape, b.shape))
    pooled = np.empty((256, 14, 14, 4), np.float32)
    index, step = np.empty(pooled.shape, np.int32), np.zeros((), np.int64)
    calls: Calls = [
        (backend.conv2d, (x, w, b, y, same, 1, "relu", 0.0)),
        (backend.max_pool, (y, pooled, index, half)),
        (backend.max_pool_backward, (index, pooled, dx, half)),
        (backend.average_pool, (y, pooled, half)),
        (backend.average_pool_backward, (pooled, dx, half)),
        (backend.conv2d_backward, (x, y, x, w, dz, dx, dw, db, same, 1, "relu", 0.0)),
        (backend.conv2d, (x, w[:, :, :1], b, y, same, 4, "relu", 0.0)),
        (backend.channel_dropout, (x.reshape(256, -1, 4), step, y.reshape(256, -1, 4), 1, 2, 40000)),
    ]
    for kind, gates in GATES.items():
        calls += recurrence(backend, kind, np.arange(128, dtype=np.int64), normal(128, 64, gates * 32))[0]
    tokens, table, rows = np.arange(8192, dtype=np.int64) % 97, normal(100, 32), np.empty((8192, 32), np.float32)
    calls += [(backend.embedding, (tokens, table, rows)), (backend.embedding_backward, (tokens, rows, table))]
    return calls, pooled.nbytes


def test_replay_of_images_and_sequences_allocates_nothing(backend: NumpyBackend) -> None:
    calls, smallest = images_and_sequences(backend)
    program = backend.compile(tape_of(calls))
    program.run(2)
    tracemalloc.start()
    try:
        program.run(1)  # the tracer's own first entries
        tracemalloc.reset_peak()
        before, _ = tracemalloc.get_traced_memory()
        program.run(2)
        after, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak - before < smallest / 4  # NumPy casts and spreads by way of a few buffers of 8192 elements
    assert after - before < 4096
