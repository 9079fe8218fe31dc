"""Recorded steps as native programs, and those that native code cannot run whole."""

from __future__ import annotations

import gc
import threading
import tracemalloc
from typing import Any

import numpy as np
import pytest

import nnx
from nnx.interface import Tape, Window
from numba_backend.support import normal

pytest.importorskip("numba")

from nnx_numba import NumbaBackend
from nnx_numba.program import MixedProgram, NativeProgram


def squared_sum(backend: Any) -> tuple[Tape, Any, Any]:
    """Record y = tanh(x), then loss = mean (y - 0)^2; return the tape, x and the loss."""
    x, y, zeros, loss = normal(40, 30), np.empty((40, 30), "f4"), np.zeros((40, 30), "f4"), np.zeros((), "f4")
    tape = Tape()
    tape.append(backend.activate, (x, y, "tanh", 0.0))
    tape.append(backend.mean_squared_error, (y, zeros, None, loss, None))
    return tape, x, loss


def test_compiling_runs_nothing(backend: Any) -> None:
    counter = np.zeros((), np.int64)
    tape = Tape()
    tape.append(backend.increment, (counter,))
    program = backend.compile(tape)
    assert counter == 0
    program.run(3)
    program.run(0)
    assert counter == 3


def test_a_program_sees_what_its_arrays_hold_when_it_runs(backend: Any) -> None:
    tape, x, loss = squared_sum(backend)
    program = backend.compile(tape)
    assert isinstance(program, NativeProgram)
    x[...] = 100
    program.run(1)
    assert loss == 1


def test_an_empty_step_may_be_repeated(backend: Any) -> None:
    counter, program = np.zeros((), np.int64), backend.compile(Tape())
    backend.increment(counter)
    program.run(5)
    assert counter == 1


def test_a_kernel_of_a_subclass_runs_between_native_ones() -> None:
    calls: list[int] = []

    class Noting(NumbaBackend):  # type: ignore[misc, valid-type]  # the class depends on what is installed
        def activate(self, x: Any, y: Any, activation: str, alpha: float) -> None:
            calls.append(1)
            super().activate(x, y, activation, alpha)

    backend = Noting()
    tape, x, loss = squared_sum(backend)
    program = backend.compile(tape)
    assert isinstance(program, MixedProgram)
    program.run(3)
    assert len(calls) == 3
    assert loss == pytest.approx(float(np.mean(np.tanh(x) ** 2)), rel=1e-6)


def test_a_strided_input_is_read_anew_in_every_step(backend: Any) -> None:
    wide, y = normal(40, 60), np.empty((40, 30), "f4")
    tape = Tape()
    tape.append(backend.activate, (wide[:, ::2], y, "relu", 0.0))
    program = backend.compile(tape)
    for value in (3.0, 5.0):
        wide[...] = value
        program.run(1)
        assert (y == value).all()


def test_a_program_keeps_its_arrays_alive(backend: Any) -> None:
    loss = np.zeros((), "f4")

    def record() -> Any:
        x, y = np.full((300, 300), 2, "f4"), np.zeros((300, 300), "f4")
        tape = Tape()
        tape.append(backend.mean_squared_error, (x, y, None, loss, None))
        return backend.compile(tape)

    program = record()
    rubbish = [np.full((300, 300), 9, "f4") for _ in range(20)]
    program.run(1)
    assert loss == 4
    assert len(rubbish) == 20


def record_products(backend: Any, sizes: list[int]) -> Any:
    """Return a program of convolutions that pad images of so many rows."""
    tape, w = Tape(), normal(3, 3, 4, 8)
    for size in sizes:
        x, y = normal(16, size, 40, 4), np.empty((16, size, 40, 8), "f4")
        window = Window((3, 3), before=(1, 1), after=(1, 1))
        tape.append(backend.conv2d, (x, w, None, y, window, 1, "identity", 0.0))
    return tape, backend.compile(tape)


def test_the_calls_of_a_program_share_the_scratch_of_the_largest(backend: Any) -> None:
    def largest_and_sum(sizes: list[int]) -> tuple[int, int]:
        _, program = record_products(backend, sizes)
        bases = {}
        for array in (array for launch in program._launches for array in launch.kept):
            while isinstance(array, np.ndarray) and array.base is not None:
                array = array.base
            if isinstance(array, np.ndarray) and array.dtype == np.float64 and array.ndim == 1:
                bases[id(array)] = array.nbytes
        return max(bases.values()), sum(bases.values())

    alone, _ = largest_and_sum([50])
    assert largest_and_sum([20, 50, 30, 50]) == (alone, alone)


def test_the_scratch_of_a_program_goes_with_it(backend: Any) -> None:
    tape, program = record_products(backend, [500])
    gc.collect()
    scratch = 16 * 502 * 42 * 4 * 4
    tracemalloc.start()
    try:
        again = backend.compile(tape)
        held, _ = tracemalloc.get_traced_memory()
        assert held > scratch
        del again
        gc.collect()
        held, _ = tracemalloc.get_traced_memory()
        assert held < scratch / 10
    finally:
        tracemalloc.stop()
    program.run(1)


def test_calls_that_share_scratch_find_what_they_put_there(backend: Any) -> None:
    tape, program = record_products(backend, [20, 50, 30])
    program.run(2)
    for call in tape.calls:
        found = call.arguments[3].copy()
        call.kernel(*call.arguments)
        np.testing.assert_array_equal(found, call.arguments[3])


def test_two_models_train_at_once_as_they_do_alone(backend: Any) -> None:
    x, labels = normal(640, 30), np.arange(640) % 4
    found: dict[str, Any] = {}

    def train(name: str, seed: int) -> None:
        layers = [nnx.Dense(200, activation="tanh"), nnx.BatchNorm(), nnx.Dense(4)]
        model = nnx.Sequential(layers, seed=seed, backend=backend)
        model.compile("softmax_cross_entropy", nnx.Adam(0.01), l2=0.01)
        model.fit(x, labels, epochs=5, batch_size=64, progress=False)
        found[name] = model.predict(x)

    train("alone 1", 1)
    train("alone 2", 2)
    threads = [threading.Thread(target=train, args=(f"together {seed}", seed)) for seed in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for seed in (1, 2):
        np.testing.assert_array_equal(found[f"together {seed}"], found[f"alone {seed}"])
