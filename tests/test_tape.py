"""The tape and its replay."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from nnx import Backend
from nnx.interface import ReplayLoop, Tape
from nnx.ops import Ops


def test_replay_repeats_the_calls_in_order() -> None:
    seen, tape = [], Tape()
    tape.append(seen.append, (1,))
    tape.append(seen.append, (2,))
    ReplayLoop(tape).run(3)
    assert seen == [1, 2] * 3
    ReplayLoop(tape).run(0)
    assert len(seen) == 6


def test_a_recording_runs_what_it_records_and_a_program_reads_the_arrays_anew(backend: Backend) -> None:
    ops = Ops(backend, "float64")
    x = ops.asarray([[1.0, 2.0]])
    with ops.recording() as tape:
        y = ops.activate(ops.add(x, x), "relu", 0.0)
    np.testing.assert_array_equal(backend.to_numpy(y), [[2, 4]])
    program = backend.compile(tape)
    x[...] = ops.asarray([[-3.0, 5.0]])
    program.run(1)
    backend.synchronize()
    np.testing.assert_array_equal(backend.to_numpy(y), [[0, 10]])


def test_a_program_of_n_steps_is_one_step_n_times(backend: Backend) -> None:
    ops = Ops(backend, "float64")
    counter = backend.zeros((), "int64")
    with ops.recording() as tape:
        ops.call(backend.increment, counter)
    program = backend.compile(tape)
    for steps in (0, 1, 5):
        program.run(steps)
    assert int(backend.to_numpy(counter)) == 7


def test_an_empty_tape_is_a_program_that_does_nothing(backend: Backend) -> None:
    counter = backend.zeros((), "int64")
    backend.compile(Tape()).run(3)
    assert int(backend.to_numpy(counter)) == 0


def test_nothing_is_recorded_after_the_block_nor_after_an_error_in_it(backend: Backend) -> None:
    ops = Ops(backend, "float64")
    x = ops.asarray([1.0])
    with pytest.raises(RuntimeError, match="on purpose"), ops.recording() as tape:
        raise RuntimeError("on purpose")
    ops.add(x, x)
    assert tape.calls == []


def test_another_thread_is_not_recorded(backend: Backend) -> None:
    ops = Ops(backend, "float64")
    x = ops.asarray([1.0])
    with ops.recording() as tape:
        thread = threading.Thread(target=ops.add, args=(x, x))
        thread.start()
        thread.join()
    assert tape.calls == []
