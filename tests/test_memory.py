"""Memory is computed before it is taken."""

from __future__ import annotations

import sys
import tracemalloc
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from support.memory import measure
from support.sizes import LAYERS, MIB, Outside, Small, digits, network, own

import nnx
from nnx import Backend, sketch
from nnx.errors import MemoryLimitError, NotBuiltError, OptionError, ShapeError, in_units
from nnx.inputs import Examples
from nnx.interface import outline, placed
from nnx.steps import Batches, TrainingStep
from nnx.tape import Tape

KIB = 1 << 10

ARRAYS = tracemalloc.DomainFilter(inclusive=True, domain=np.lib.tracemalloc_domain)


@pytest.mark.parametrize("size", [0, -1, True, "full", "32", 1.5, None])
def test_a_batch_that_is_no_count_is_refused(size: Any) -> None:
    with pytest.raises(OptionError, match="batch_size"):
        network().memory(size, (64,))


def test_a_model_without_shape_or_goal_says_what_is_missing() -> None:
    with pytest.raises(NotBuiltError, match="input_shape"):
        network().memory(32)
    with pytest.raises(NotBuiltError, match="compile"):
        nnx.Sequential([nnx.Dense(1)]).memory(32, (4,))
    with pytest.raises(ShapeError):
        nnx.Sequential([nnx.Conv2D(4, 9), nnx.Flatten(), nnx.Dense(1)]).compile("huber").memory(1, (4, 4, 1))


def test_the_figure_is_that_of_the_buffers_and_arrays_of_a_dense_step() -> None:
    need = network(optimizer="sgd").memory(32, (64,))
    assert need.parameters == need.gradients == 4 * (64 * 512 + 512 + 512 * 512 + 512 + 512 * 10 + 16)
    assert need.moments == need.statistics == need.examples == 0
    widths = 64 + 1 * 2  # a batch of inputs, and its labels of eight bytes
    outputs = 512 + 512 + 10  # and their gradients; before each activation another for the slope of relu
    assert 4 * 32 * (widths + 2 * outputs) <= need.activations < 4 * 32 * (widths + 3 * outputs) + 1000
    assert need.total == need.held + need.training


def test_computing_builds_nothing_and_leaves_a_built_model_as_it_was() -> None:
    model = network()
    model.memory(32, (64,))
    assert not model.built
    model.build((64,))
    before, ops = model.get_weights(), model.chain.layers[0].ops
    model.memory(32)
    assert model.chain.layers[0].ops is ops
    assert all((values == before[name]).all() for name, values in model.get_weights().items())
    x, y = digits(64)
    twin = network().fit(x, y, batch_size=16)
    assert model.fit(x, y, batch_size=16)["loss"] == twin["loss"]


def test_batches_cost_alike_and_impossible_ones_are_no_crash(backend: Backend) -> None:
    model = nnx.Sequential([nnx.Flatten(), nnx.Dense(4)], backend=backend).compile("softmax_cross_entropy")
    small, large, larger = (model.memory(size, (3, 3)) for size in (1000, 2000, 3000))
    assert larger.activations - large.activations == large.activations - small.activations > 0
    assert model.memory(10**12, (3, 3)).activations > 10**13
    with pytest.raises(MemoryLimitError, match="more than any computer has"):
        model.memory(10**19, (3, 3))


def test_a_last_smaller_batch_and_the_data_set_are_counted() -> None:
    model = network()
    even, ragged = model.memory(100, (64,), examples=1000), model.memory(100, (64,), examples=1050)
    assert even.examples >= 1000 * (64 * 4 + 8)
    assert ragged.activations > even.activations
    assert model.memory(100, (64,)).activations == even.activations


def test_statistics_of_batch_normalisation_and_more_steps_are_counted() -> None:
    layers = [nnx.LSTM(8, return_sequences=True), nnx.BatchNorm(), nnx.GRU(4), nnx.Dense(2)]
    model = nnx.Sequential(layers, input_shape=(10, 3)).compile("softmax_cross_entropy")
    assert model.memory(4).statistics == 2 * 64
    assert model.memory(4, (1000, 3)).activations > 50 * model.memory(4).activations


@dataclass(eq=False, repr=False)
class Twice(nnx.Layer):
    """y = x + x, of operations alone, on views."""

    def forward(self, x: Any, context: Any) -> Any:
        del context
        first = x[:, :2]
        return self.ops.add(x, x), lambda dy: self.ops.add(dy, dy) if first.shape[1] == 2 else None


def test_layers_of_ones_own_are_followed_and_what_cannot_be_followed_says_so() -> None:
    plain = nnx.Sequential([nnx.Dense(8), nnx.Dense(2)]).compile("softmax_cross_entropy").memory(64, (4,))
    need = own(Twice()).memory(64, (4,))
    assert need.activations == plain.activations + 2 * 64 * 8 * 4
    with pytest.raises(OptionError, match=r"self\.ops alone"):
        own(Outside()).memory(64, (4,))
    x, y = digits(300_000, 4)
    own(Outside(), Small(1000)).fit(x, y % 2, batch_size=250_000, epochs=0)  # unknown is not refused


def test_scratch_of_large_batches_is_what_an_engine_would_say(monkeypatch: pytest.MonkeyPatch) -> None:
    layers = [nnx.Conv2D(8, 3, padding="same"), nnx.MaxPool2D(2), nnx.Flatten(), nnx.Dense(10)]
    model = nnx.Sequential(layers, input_shape=(16, 16, 1)).compile("softmax_cross_entropy")
    need = model.memory(8192)
    assert need.activations > sketch._PLANNED
    monkeypatch.setattr(sketch, "_PLANNED", 1 << 40)
    assert need.scratch == pytest.approx(model.memory(8192).scratch, rel=0.05)


@pytest.mark.parametrize("engine", ["numpy", "numba"])
@pytest.mark.parametrize("kind", ["dense", "images", "sequences"])
def test_the_scratch_that_is_told_is_what_the_program_of_a_step_keeps(engine: str, kind: str) -> None:
    make, shape = LAYERS[kind]
    model = nnx.Sequential(make(), input_shape=shape, backend=engine).compile("softmax_cross_entropy")
    examples = Examples(np.zeros((64, *shape), "float32"), np.zeros(64, np.int64))
    batches = Batches(model.ops, examples, 64)
    step = TrainingStep(model, batches)
    with model.ops.recording() as tape:
        step(64)
    told = model.backend.scratch_of(tape).program
    tracemalloc.start()
    try:
        program = model.backend.compile(tape)
        arrays = tracemalloc.take_snapshot().filter_traces([ARRAYS])
    finally:
        tracemalloc.stop()
    kept = sum(trace.size for trace in arrays.traces)
    batches.restart()
    program.run(1)
    assert kept <= told + 64 * KIB  # the rows of launches, and numbers
    assert told <= 1.1 * kept + 64 * KIB


def test_figures_are_in_binary_units() -> None:
    assert [in_units(size) for size in (0, 1023, 1024, 3 << 29, 10**30)] == [
        *("0 B", "1023 B", "1.0 KiB", "1.5 GiB"),
        "827180.6 YiB",
    ]
    text = str(network().memory(32, (64,)))
    assert "total" in text
    assert len({len(line) for line in text.splitlines()}) == 1


def test_outlines_are_never_computed_with_and_never_take_memory() -> None:
    tracemalloc.start()
    try:
        array = outline((10**6, 10**6), "float32")
        assert array.reshape(-1).T[5:].nbytes > 3 * 10**12
        array[...] = 1
        network().memory(10**6, (64,), examples=10**7)
        assert tracemalloc.get_traced_memory()[1] < 16 * MIB
    finally:
        tracemalloc.stop()
    for compute in (lambda: array + 1, lambda: np.sum(array), lambda: np.exp(array)):
        with pytest.raises(TypeError):
            compute()
    assert placed(Tape()).calls == []


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of a process is read from /proc")
def test_what_was_computed_is_what_training_takes() -> None:  # the others: python -m tests.support.memory
    computed, measured = measure("dense", "numpy")
    assert computed > 100 * MIB
    assert measured == pytest.approx(computed, rel=0.1)
