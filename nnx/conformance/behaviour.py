"""Checks of what holds across kernels: programs that repeat a tape, and threads that call at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from nnx.conformance.case import Case, InPlace, Input, Output
from nnx.conformance.cases import CASES
from nnx.conformance.report import Check, NonconformanceError
from nnx.conformance.stage import Stage
from nnx.conformance.tolerance import Values
from nnx.interface import Array, Backend, Call, Tape, outline

_ROUNDS = 3


def behaviour_checks() -> Iterator[Check]:
    """Yield the checks of compile, of its scratch memory and of threads."""
    yield Check("compile: a tape replayed n times equals n times its calls", "compile", _replay_equals_calls)
    yield Check("compile: an empty tape, no steps, and going on after a pause", "compile", _pauses)
    yield Check("scratch: what a step takes is told of outlines, and nothing is run", "compile", _scratch_is_told)
    yield Check("threads: two at once get what each gets alone", "threads", _threads_agree)


class _Step:
    """A small training step that depends on a counter: gather, dropout, descent, bookkeeping."""

    def __init__(self, backend: Backend) -> None:
        """Allocate the arrays of the step."""
        self.backend = backend
        rng = np.random.Generator(np.random.PCG64(3))
        self.counter = backend.zeros((), "int64")
        self.source = backend.asarray(rng.standard_normal((40, 6)), "float32")
        self.order = backend.asarray(rng.permutation(40), "int64")
        self.batch, self.noisy = backend.empty((4, 6), "float32"), backend.empty((4, 6), "float32")
        self.p, self.v = backend.asarray(np.ones((4, 6)), "float32"), backend.zeros((4, 6), "float32")
        self.norm, self.norms = backend.empty((), "float32"), backend.zeros((12,), "float32")
        self.lr = backend.asarray(np.asarray(0.1), "float32")

    def tape(self) -> Tape:
        """Return the calls of the step."""
        tape, b = Tape(), self.backend
        flat = (24,)
        noisy, p, v = (b.xp.reshape(array, flat) for array in (self.noisy, self.p, self.v))
        tape.append(b.take_rows, (self.source, self.order, self.counter, self.batch, 4))
        tape.append(b.dropout, (self.batch, self.counter, self.noisy, 11, 12, 40000))
        tape.append(b.clip_by_global_norm, (noisy, self.norm, 1.5))
        tape.append(b.momentum, (p, noisy, v, self.lr, 0.9))
        tape.append(b.store_at, (self.norm, self.counter, self.norms))
        tape.append(b.increment, (self.counter,))
        return tape

    def state(self) -> dict[str, Values]:
        """Return what the step has changed."""
        self.backend.synchronize()
        arrays: dict[str, Array] = {"p": self.p, "v": self.v, "norms": self.norms, "counter": self.counter}
        return {name: self.backend.to_numpy(array) for name, array in arrays.items()}


def _by_hand(backend: Backend, steps: int) -> dict[str, Values]:
    step = _Step(backend)
    calls = step.tape().calls
    for _ in range(steps):
        for call in calls:
            call.kernel(*call.arguments)
    return step.state()


def _require_same(got: dict[str, Values], expected: dict[str, Values], what: str) -> None:
    for name, values in expected.items():
        if not np.array_equal(got[name], values):
            raise NonconformanceError(f"{what}: {name} is {got[name]}, expected {values}")


def _replay_equals_calls(backend: Backend) -> None:
    for steps in (1, 2, 10):
        step = _Step(backend)
        program = backend.compile(step.tape())
        program.run(steps)
        _require_same(step.state(), _by_hand(backend, steps), f"compile: {steps} steps replayed")


def _pauses(backend: Backend) -> None:
    backend.compile(Tape()).run(3)
    step = _Step(backend)
    program = backend.compile(step.tape())
    program.run(0)
    _require_same(step.state(), _by_hand(backend, 0), "compile: nothing run yet")
    program.run(2)
    _require_same(step.state(), _by_hand(backend, 2), "compile: 2 steps")
    program.run(5)
    _require_same(step.state(), _by_hand(backend, 7), "compile: 2 steps and then 5")


def _scratch_is_told(backend: Backend) -> None:
    step = _Step(backend)
    before, tape = step.state(), step.tape()
    real, outlined = backend.scratch_of(tape), backend.scratch_of(_outlined(backend, tape))
    for name, values in step.state().items():
        if not np.array_equal(values, before[name]):
            raise NonconformanceError(f"compile: scratch_of runs the calls, which changes {name}")
    if real != outlined or min(real) < 0:
        raise NonconformanceError(f"compile: scratch_of says {real} of arrays, {outlined} of outlines of them")


def _outlined(backend: Backend, tape: Tape) -> Tape:
    """Return the same calls on arrays without memory."""

    def without_memory(value: object) -> object:
        return outline(value.shape, backend.dtype_name(value)) if backend.owns(value) else value  # type: ignore[attr-defined]  # an array

    return Tape([Call(call.kernel, tuple(map(without_memory, call.arguments))) for call in tape.calls])


def _threads_agree(backend: Backend) -> None:
    """Run two cases of every kernel alone, and then at the same moment in two threads, several times over."""
    with ThreadPoolExecutor(2) as pool:
        for cases in _largest_pairs():
            alone = [_stage(backend, case).call() for case in cases]
            for _ in range(_ROUNDS):
                gate = threading.Barrier(2)
                jobs = [pool.submit(_call_at, gate, _stage(backend, case)) for case in cases]
                for case, expected, job in zip(cases, alone, jobs, strict=True):
                    _compare(case, expected, job.result())


def _stage(backend: Backend, case: Case) -> Stage:
    return Stage(backend, case.kernel, case.arguments(case.dtypes[0]), case.dtypes[0])


def _call_at(gate: threading.Barrier, stage: Stage) -> dict[str, Values]:
    gate.wait()
    return stage.call()


def _compare(case: Case, alone: dict[str, Values], together: dict[str, Values]) -> None:
    for name, values in together.items():
        if not np.array_equal(values, alone[name], equal_nan=values.dtype.kind == "f"):
            raise NonconformanceError(
                f"threads: {case.kernel} {case.label}: {name} differs from the same call made alone"
            )


def _largest_pairs() -> Iterator[list[Case]]:
    """Yield the two largest cases of every kernel: enough work to overlap, and scratch memory of two sizes."""
    kernels = dict.fromkeys(case.kernel for case in CASES)
    for kernel in kernels:
        cases = [case for case in CASES if case.kernel == kernel]
        yield sorted(cases, key=_size)[-2:]


def _size(case: Case) -> int:
    sizes: dict[type, Callable[..., int]] = {
        Input: lambda a: a.values.size,
        InPlace: lambda a: a.values.size,
        Output: lambda a: int(np.prod(a.shape)),
    }
    return sum(sizes[type(a)](a) for a in case.arguments("float32").values() if type(a) in sizes)
