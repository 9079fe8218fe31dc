"""Recorded steps of the NumPy backend: planned once, replayed from a flat list of primitive calls."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from nnx.interface import ReplayLoop, Tape
from nnx_numpy import NumpyBackend
from nnx_numpy.plan import Recording
from nnx_numpy.workspace import BLOCK, Workspace

KEPT = 40000
FLOAT32 = np.dtype(np.float32)


@pytest.fixture
def backend() -> NumpyBackend:
    return NumpyBackend()


def normal(backend: NumpyBackend, *shape: int, seed: int = 0) -> Any:
    return backend.asarray(np.random.default_rng(seed).standard_normal(shape), "float32")


def tape_of(*calls: tuple[Any, ...]) -> Tape:
    tape = Tape()
    for kernel, *arguments in calls:
        tape.append(kernel, tuple(arguments))
    return tape


def draws(calls: list[tuple[Callable[..., Any], tuple[Any, ...]]]) -> int:
    return sum(getattr(primitive, "__name__", "") == "_draw" for primitive, _ in calls)


def primitives(tape: Tape) -> list[tuple[Callable[..., Any], tuple[Any, ...]]]:
    recording = Recording()
    for call in tape.calls:
        recording.record(call)
    return recording.calls


def test_planning_a_step_computes_nothing(backend: NumpyBackend) -> None:
    x, y = normal(backend, 3, 4), backend.zeros((3, 4), "float32")
    program = backend.compile(tape_of((backend.activate, x, y, "tanh", 0.0)))
    assert not y.any()
    program.run(1)
    np.testing.assert_array_equal(y, np.tanh(x))


@pytest.mark.parametrize("rows", [1, 37, BLOCK // 16 + 1])
def test_strided_inputs_are_read_anew_in_every_step(backend: NumpyBackend, rows: int) -> None:
    base, labels = normal(backend, rows, 22), backend.zeros((rows,), "int64")
    x, y, dx, loss = (
        base[:, ::2],
        *(backend.empty((rows, 11), "float32") for _ in range(2)),
        backend.empty((), "float32"),
    )
    calls: list[tuple[Any, ...]] = [
        (backend.activate, x, y, "softplus", 0.0),
        (backend.softmax_cross_entropy, x, labels, None, loss, dx, 0.1),
    ]
    program = backend.compile(tape_of(*calls))
    for scale in (1, -2):
        base *= scale
        program.run(1)
        replayed = [array.copy() for array in (y, dx, loss)]
        for kernel, *arguments in calls:
            kernel(*arguments)
        for eager, array in zip((y, dx, loss), replayed, strict=True):
            np.testing.assert_array_equal(array, eager)


def test_two_programs_at_once_do_not_share_scratch(backend: NumpyBackend) -> None:
    shape, steps, threads = (BLOCK + 100,), 20, 4
    arrays = [(normal(backend, *shape, seed=seed), backend.empty(shape, "float32")) for seed in range(threads)]
    programs = [backend.compile(tape_of((backend.activate, x, y, "softplus", 0.0))) for x, y in arrays]
    mismatches: list[int] = []
    start = threading.Barrier(threads)

    def work(index: int) -> None:
        expected = np.empty(shape, np.float32)
        backend.activate(arrays[index][0], expected, "softplus", 0.0)
        start.wait()
        for _ in range(steps):
            programs[index].run(1)
            if not np.array_equal(arrays[index][1], expected):
                mismatches.append(index)

    workers = [threading.Thread(target=work, args=(index,)) for index in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not mismatches


def test_a_program_outlives_eager_calls_that_need_more_scratch(backend: NumpyBackend) -> None:
    x, y = normal(backend, 50), backend.empty((50,), "float32")
    program = backend.compile(tape_of((backend.activate, x, y, "elu", 0.5)))
    large = normal(backend, 3 * BLOCK)
    backend.activate(large, np.empty_like(large), "elu", 0.5)
    program.run(1)
    np.testing.assert_allclose(y, np.where(x > 0, x, 0.5 * np.expm1(x)), rtol=1e-6)


def test_a_call_that_is_no_kernel_of_the_backend_is_replayed_as_recorded(backend: NumpyBackend) -> None:
    seen: list[float] = []
    counter = backend.zeros((), "int64")
    program = backend.compile(tape_of((backend.increment, counter), (lambda a: seen.append(int(a)), counter)))
    program.run(3)
    assert seen == [1, 2, 3]


def test_forward_and_backward_of_dropout_draw_one_mask(backend: NumpyBackend) -> None:
    x, y, dx, step = normal(backend, 8, 40), *np.empty((2, 8, 40), np.float32), backend.zeros((), "int64")
    dropped = [(backend.dropout, a, step, b, 3, 4, KEPT) for a, b in ((x, y), (x, dx))]
    tape = tape_of(*dropped, (backend.increment, step))
    assert draws(primitives(tape)) == 1
    program = backend.compile(tape)
    expected = np.empty_like(y)
    for number in range(3):
        program.run(1)
        backend.dropout(x, np.asarray(number), expected, 3, 4, KEPT)
        np.testing.assert_array_equal(y, expected)
        np.testing.assert_array_equal(dx, expected)


def test_forward_and_backward_of_channel_dropout_draw_one_mask(backend: NumpyBackend) -> None:
    x, y, dx, step = normal(backend, 8, 30, 5), *np.empty((2, 8, 30, 5), np.float32), backend.zeros((), "int64")
    tape = tape_of(
        *((backend.channel_dropout, a, step, b, 3, 4, KEPT) for a, b in ((x, y), (x, dx))),
        (backend.increment, step),
    )
    assert draws(primitives(tape)) == 1
    program = backend.compile(tape)
    expected = np.empty_like(y)
    for number in range(3):
        program.run(1)
        backend.channel_dropout(x, np.asarray(number), expected, 3, 4, KEPT)
        np.testing.assert_array_equal(y, expected)
        np.testing.assert_array_equal(dx, expected)


@pytest.mark.parametrize("writer", ["increment", "add", "load_at", "a view", "a foreign call"])
def test_a_mask_is_drawn_again_after_the_step_may_have_changed(backend: NumpyBackend, writer: str) -> None:
    counters = backend.zeros((2,), "int64")
    step, one = counters[0:1].reshape(()), backend.asarray(np.asarray(1), "int64")
    table = backend.asarray(np.asarray([5, 1]), "int64")
    writers: dict[str, tuple[Any, ...]] = {
        "increment": (backend.increment, step),
        "add": (backend.add, step, one, step),
        "load_at": (backend.load_at, table, one, step),
        "a view": (backend.add, counters, counters, counters),
        "a foreign call": (lambda array: array.fill(1), step),
    }
    x, before, after = normal(backend, 8, 40), *np.empty((2, 8, 40), np.float32)
    first, second = ((backend.dropout, x, step, y, 3, 4, KEPT) for y in (before, after))
    tape = tape_of(first, writers[writer], second)
    assert draws(primitives(tape)) == 2
    expected = before.copy(), after.copy()
    ReplayLoop(tape_of((backend.dropout, x, np.asarray(0), expected[0], 3, 4, KEPT))).run(1)
    backend.compile(tape).run(1)
    backend.dropout(x, step, expected[1], 3, 4, KEPT)
    np.testing.assert_array_equal(before, expected[0])
    np.testing.assert_array_equal(after, expected[1])


def test_masks_of_other_layers_shapes_and_thresholds_are_their_own(backend: NumpyBackend) -> None:
    x, step = normal(backend, 8, 40), backend.zeros((), "int64")
    options = [(3, 4, KEPT), (3, 5, KEPT), (4, 4, KEPT), (3, 4, KEPT + 1)]
    calls = [(backend.dropout, x, step, np.empty_like(x), *option) for option in options]
    narrow = x[:, :30]
    calls.append((backend.dropout, narrow, step, np.empty((8, 30), np.float32), *options[0]))
    assert draws(primitives(tape_of(*calls))) == len(calls)


def test_numbers_that_compare_equal_keep_their_sign() -> None:
    own = Workspace()
    assert np.signbit([own.scalar(value, FLOAT32) for value in (0.0, -0.0, 0)]).tolist() == [False, True, False]


def test_constants_cannot_be_overwritten() -> None:
    own = Workspace()
    for constant in (own.scalar(2.0, FLOAT32), own.filled(2.0, 3, FLOAT32), own.counting(3, 5)):
        with pytest.raises(ValueError, match="read-only"):
            constant[...] = 0


def test_many_constants_do_not_pile_up() -> None:
    own = Workspace()
    for number in range(3000):
        own.scalar(float(number), FLOAT32)
        own.filled(float(number), 2, FLOAT32)
        own.counting(2, number)
    assert max(len(own._scalars), len(own._vectors), len(own._counting)) <= 1024
