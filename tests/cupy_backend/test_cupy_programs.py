"""Compiled steps: one graph, scratch memory of its own, and a loop with a word in the log where no graph can be."""

from __future__ import annotations

import threading
from typing import Any

import hostcuda
import numpy as np
import pytest
from shadow import ShadowBackend

import nnx
from nnx.interface import Call, ReplayLoop, Tape
from nnx_cupy.programs import STEPS_PER_GRAPH, GraphProgram

on_the_cpu = pytest.mark.skipif(hostcuda.unavailable() is not None, reason=str(hostcuda.unavailable()))


class Step:
    """A step that counts, and sums over blocks: increment a counter, scale a gradient by its norm, descend."""

    def __init__(self, backend: ShadowBackend) -> None:
        self.backend = backend
        self.counter, self.norm = np.zeros((), "int64"), np.zeros((), "float32")
        self.p, self.g = np.ones(3000, "float32"), np.full(3000, 0.5, "float32")
        self.lr = np.array(0.125, "float32")

    def tape(self) -> Tape:
        b = self.backend
        return Tape(
            [
                Call(b.clip_by_global_norm, (self.g, self.norm, 1e9)),
                Call(b.sgd, (self.p, self.g, self.lr)),
                Call(b.increment, (self.counter,)),
            ]
        )


@on_the_cpu
@pytest.mark.parametrize("steps", [0, 1, 5, STEPS_PER_GRAPH, 2 * STEPS_PER_GRAPH + 3])
def test_a_step_is_one_launch_of_a_graph_or_less(steps: int, caplog: pytest.LogCaptureFixture) -> None:
    shadow = ShadowBackend()
    step = Step(shadow)
    program = shadow.compile(step.tape())
    assert step.counter == 0  # captured, not run
    program.run(steps)
    assert step.counter == steps
    np.testing.assert_array_equal(step.p, np.float32(1 - 0.0625 * steps))
    assert shadow.host.runs == steps // STEPS_PER_GRAPH + steps % STEPS_PER_GRAPH
    assert not caplog.records


def trained(eager: bool) -> tuple[ShadowBackend, Any]:
    shadow = ShadowBackend()
    layers = [nnx.Dense(6, bias=False), nnx.BatchNorm(), nnx.Activation("relu"), nnx.Dropout(0.5), nnx.Dense(3)]
    model = nnx.Sequential(layers, seed=1, backend=shadow).compile("softmax_cross_entropy", nnx.Adam(0.01))
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((70, 5)).astype("float32"), rng.integers(0, 3, 70)
    model.fit(x, y, epochs=3, batch_size=16, eager=eager)
    return shadow, model.predict(x)


@on_the_cpu
def test_a_model_trains_by_graphs_to_the_same_bits_as_call_by_call(caplog: pytest.LogCaptureFixture) -> None:
    shadow, outputs = trained(eager=False)
    assert not caplog.records
    assert shadow.host.runs == 3 * 5 - 2  # the first steps, full and ragged, record
    without, expected = trained(eager=True)
    assert without.host.runs == 0
    np.testing.assert_array_equal(outputs, expected)


@on_the_cpu
def test_programs_share_no_scratch_memory_with_each_other_or_with_their_thread() -> None:
    shadow = ShadowBackend()
    steps = [Step(shadow), Step(shadow)]
    Step(shadow).tape().calls[0].kernel(*Step(shadow).tape().calls[0].arguments)
    own = shadow.scratch(np.dtype("float32"), 9)
    programs = [shadow.compile(step.tape()) for step in steps]
    memory = [arrays(graph.launches[0]) for graph in shadow.host.graphs]
    assert len(programs) == len(memory) == 2
    for first, second in ((memory[0], memory[1]), (memory[0], own), (memory[1], own)):
        assert not any(np.shares_memory(a, b) for a in first for b in second)


def arrays(launch: tuple[Any, ...]) -> list[Any]:
    return [argument for argument in launch[-1] if isinstance(argument, np.ndarray)]


@on_the_cpu
def test_two_threads_run_their_programs_at_once() -> None:
    shadow = ShadowBackend()
    steps = [Step(shadow) for _ in range(2)]
    programs = [shadow.compile(step.tape()) for step in steps]
    threads = [threading.Thread(target=program.run, args=(40,)) for program in programs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for step in steps:
        np.testing.assert_allclose(step.norm, 0.5 * 3000**0.5, rtol=1e-6)
        assert step.counter == 40


@on_the_cpu
def test_nothing_is_allocated_while_a_step_is_captured(monkeypatch: pytest.MonkeyPatch) -> None:
    shadow = ShadowBackend()
    real = shadow.xp

    class Watched:
        def __getattr__(self, name: str) -> Any:
            assert not shadow.host.capturing, f"{name} is called during capture"
            return getattr(real, name)

    monkeypatch.setattr(shadow, "xp", Watched())
    program = shadow.compile(Step(shadow).tape())
    assert isinstance(program, GraphProgram)


@on_the_cpu
def test_a_foreign_kernel_is_called_at_every_step_and_the_log_names_it(caplog: pytest.LogCaptureFixture) -> None:
    shadow = ShadowBackend()
    step, seen = Step(shadow), []

    def watch(counter: Any) -> None:
        seen.append(int(counter))

    tape = step.tape()
    tape.append(watch, (step.counter,))
    program = shadow.compile(tape)
    program.run(3)
    assert isinstance(program, ReplayLoop)
    assert seen == [1, 2, 3]
    assert len(caplog.records) == 1
    assert "4 calls" in caplog.text
    assert "watch is no kernel of this backend" in caplog.text


@on_the_cpu
def test_a_kernel_that_a_subclass_wrote_is_foreign(caplog: pytest.LogCaptureFixture) -> None:
    class Custom(ShadowBackend):
        def increment(self, counter: Any) -> None:
            counter += 2

    shadow = Custom()
    step = Step(shadow)
    shadow.compile(step.tape()).run(3)
    assert step.counter == 6
    assert "Custom.increment is no kernel" in caplog.text


@on_the_cpu
@pytest.mark.parametrize("error", [RuntimeError("no capture today"), NotImplementedError("cuBLAS"), MemoryError()])
def test_a_step_that_cannot_be_captured_is_replayed_and_the_next_is_a_graph_again(
    error: Exception, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    shadow = ShadowBackend()

    def capture(_work: Any) -> Any:
        raise error

    step = Step(shadow)
    with monkeypatch.context() as patched:
        patched.setattr(shadow.host, "capture", capture)
        program = shadow.compile(step.tape())
    assert isinstance(program, ReplayLoop)
    assert len(caplog.records) == 1
    assert f"{type(error).__name__}: {error}" in caplog.text
    program.run(2)
    assert step.counter == 2
    assert not shadow.is_rehearsing
    assert isinstance(shadow.compile(Step(shadow).tape()), GraphProgram)


@on_the_cpu
def test_without_the_longer_graph_steps_are_launched_one_by_one(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    shadow = ShadowBackend()
    step = Step(shadow)
    program = shadow.compile(step.tape())

    def capture(_work: Any) -> Any:
        raise MemoryError("no room for sixteen steps")

    monkeypatch.setattr(shadow.host, "capture", capture)
    for _ in range(2):
        program.run(STEPS_PER_GRAPH + 1)
    assert step.counter == 2 * (STEPS_PER_GRAPH + 1)
    assert len(caplog.records) == 1
    assert "launched one by one: MemoryError" in caplog.text


@on_the_cpu
def test_a_fault_of_a_kernel_is_no_reason_to_go_on_without_a_graph() -> None:
    shadow = ShadowBackend()
    step = Step(shadow)
    with pytest.raises(AttributeError):
        shadow.compile(Tape([Call(shadow.sgd, (step.p, None, step.lr))]))
    assert not shadow.is_rehearsing
    assert isinstance(shadow.compile(step.tape()), GraphProgram)
