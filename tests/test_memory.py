"""Memory is computed before it is taken, and what does not fit is refused with the figure."""

from __future__ import annotations

import pickle
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.memory import measure

import nnx
from nnx import Backend, bounds, sketch
from nnx.errors import DataError, MemoryLimitError, NotBuiltError, OptionError, ShapeError, in_units
from nnx.inputs import Examples
from nnx.interface import Memory, outline, placed
from nnx.tape import Tape
from nnx_numpy.backend import NumpyBackend

MIB = 1 << 20


class Small(NumpyBackend):
    """NumPy on a computer with little memory left."""

    def __init__(self, free: int | None) -> None:
        self.free = free

    def memory(self) -> Memory:
        return Memory(self.free, 1 << 40)


def network(backend: str | Backend = "numpy", *, units: int = 512, **options: Any) -> nnx.Sequential:
    model = nnx.Sequential([nnx.Dense(units, "relu"), nnx.Dense(units, "relu"), nnx.Dense(10)], backend=backend)
    return model.compile("softmax_cross_entropy", **options)


def digits(count: int = 5000, features: int = 64) -> tuple[Any, Any]:
    return np.zeros((count, features), "float32"), np.arange(count) % 10


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


@dataclass(eq=False, repr=False)
class Outside(nnx.Layer):
    """Computes with the array library itself."""

    def forward(self, x: Any, context: Any) -> Any:
        del context
        return x * 2, lambda dy: dy * 2


def own(layer: nnx.Layer, backend: str | Backend = "numpy") -> nnx.Sequential:
    return nnx.Sequential([nnx.Dense(8), layer, nnx.Dense(2)], backend=backend).compile("softmax_cross_entropy")


def test_layers_of_ones_own_are_followed_and_what_cannot_be_followed_says_so() -> None:
    plain = nnx.Sequential([nnx.Dense(8), nnx.Dense(2)]).compile("softmax_cross_entropy").memory(64, (4,))
    need = own(Twice()).memory(64, (4,))
    assert need.activations == plain.activations + 2 * 64 * 8 * 4
    with pytest.raises(OptionError, match=r"self\.ops alone"):
        own(Outside()).memory(64, (4,))
    x, y = digits(300_000, 4)
    own(Outside(), Small(1000)).fit(x, y % 2, batch_size=250_000, epochs=0)  # unknown is not refused


def test_training_that_does_not_fit_is_refused_with_the_largest_batch_that_does() -> None:
    x, y = digits()
    backend = Small(24 * MIB)
    model = network(backend)
    with pytest.raises(
        MemoryLimitError, match=r"Training in batches of 4096 needs .* are free: batches of"
    ) as caught:
        model.fit(x, y, batch_size=4096)
    assert not model.built
    assert caught.value.needed > caught.value.free == 24 * MIB
    best = int(str(caught.value).split("at most ")[1].split()[0])
    model.build((64,))
    fits, beyond = (model.memory(size, examples=5000).training for size in (best, best + 1))
    assert fits <= 24 * MIB < beyond
    model.fit(x, y, batch_size=best, epochs=1)


def test_training_for_which_no_batch_is_small_enough_says_what_takes_the_memory() -> None:
    x, y = digits()
    with pytest.raises(MemoryLimitError, match=r"not even batches of 1 fit, .* of copies, .* the model itself"):
        network(Small(MIB)).fit(x, y, batch_size=4096)
    with pytest.raises(MemoryLimitError, match="Training in batches of 5000"):
        network(Small(MIB)).fit(x, y, batch_size="full")


def test_padded_sequences_that_do_not_fit_are_refused() -> None:
    x, lengths = np.zeros((600, 50, 8), "float32"), np.full(600, 20)
    model = nnx.Sequential([nnx.LSTM(32), nnx.Dense(2)], backend=Small(MIB)).compile("softmax_cross_entropy")
    with pytest.raises(MemoryLimitError, match="Training"):
        model.fit(x, lengths % 2, lengths=lengths, batch_size=512)


def test_evaluation_and_prediction_that_do_not_fit_are_refused() -> None:
    x, y = digits()
    backend = Small(None)  # nothing tells
    model = network(backend)
    model.build((64,))
    model.predict(x[:2000], batch_size=2000)
    backend.free = 4 * MIB
    for call in (lambda: model.predict(x, batch_size=5000), lambda: model.evaluate(x, y, batch_size=5000)):
        with pytest.raises(MemoryLimitError, match=r"in batches of 5000 .* batches of at most"):
            call()
    model.predict(x, batch_size=64)


def test_wrong_data_are_still_called_wrong_where_memory_is_short() -> None:
    x, y = digits()
    x[0, 0] = np.nan
    with pytest.raises(DataError, match="NaN"):
        network(Small(MIB)).fit(x, y, batch_size=4096)


def test_a_device_of_its_own_is_asked_whether_the_parameters_fit() -> None:
    backend = Small(10 * MIB)
    backend.on_host = False
    with pytest.raises(MemoryLimitError, match=r"Building the model up to 1\.weight, .* 10\.0 MiB are free"):
        network(backend, units=4096).build((64,))


def test_scratch_of_large_batches_is_what_an_engine_would_say(monkeypatch: pytest.MonkeyPatch) -> None:
    layers = [nnx.Conv2D(8, 3, padding="same"), nnx.MaxPool2D(2), nnx.Flatten(), nnx.Dense(10)]
    model = nnx.Sequential(layers, input_shape=(16, 16, 1)).compile("softmax_cross_entropy")
    need = model.memory(8192)
    assert need.activations > sketch._PLANNED
    monkeypatch.setattr(sketch, "_PLANNED", 1 << 40)
    assert need.scratch == pytest.approx(model.memory(8192).scratch, rel=0.05)


def test_a_file_is_not_read_where_its_model_does_not_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nnx.shortage.SMALL", 1 << 20)
    model = network()
    model.build((64,))
    model.save(tmp_path / "model.h5")
    backend = Small(MIB)
    backend.on_host = False
    with pytest.raises(MemoryLimitError, match="Building the model"):
        nnx.load(tmp_path / "model.h5", backend=backend)


@pytest.mark.parametrize("units", [10**9, 10**12, 10**30])
def test_layers_of_absurd_sizes_are_refused_before_they_are_drawn(units: int) -> None:
    model = nnx.Sequential([nnx.Dense(units)])
    with pytest.raises(
        MemoryLimitError, match=r"Building the model up to 0\.weight, of shape .* as float32, needs"
    ):
        model.build((units,))
    assert not model.built
    with pytest.raises(MemoryError):  # what others catch
        model.build((units,))


@pytest.mark.parametrize(
    ("init", "free", "fits"),
    [
        ("zeros", 140, True),
        ("he", 140, True),
        ("glorot_uniform", 140, True),
        ("orthogonal", 140, False),
        ("he", 90, False),
        (lambda shape, _seed, _stream: np.zeros(shape), 140, True),
    ],
)
def test_a_layer_is_refused_only_if_drawing_and_gathering_its_values_do_not_fit(
    monkeypatch: pytest.MonkeyPatch, init: Any, free: int, fits: bool
) -> None:
    monkeypatch.setattr("nnx.builder.host_memory", lambda: Memory(free * MIB, 1 << 40))
    model = nnx.Sequential([nnx.Dense(2400, init=init)])  # 6.0 M values: 16 bytes for each, or 40
    with nullcontext() if fits else pytest.raises(MemoryLimitError, match=r"up to 0\.weight"):
        model.build((2500,))


def test_what_has_been_drawn_is_not_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = chain([100], repeat(100 - 35))  # MiB that are free: the values of the first layer take 34.3 of them
    monkeypatch.setattr("nnx.builder.host_memory", lambda: Memory(next(asked) * MIB, 1 << 40))
    monkeypatch.setattr("nnx.shortage.SMALL", 1 << 20)
    layers = [nnx.Dense(1500, init="zeros"), nnx.Dense(1, init="zeros")]
    nnx.Sequential(layers, input_shape=(3000,))


def test_a_request_that_was_refused_can_be_sent_to_another_process() -> None:
    error = MemoryLimitError("This", 3 << 30, 1 << 30, "take less.")
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error) == "This needs 3.0 GiB of memory, and 1.0 GiB are free: take less."
    assert (again.needed, again.free) == (3 << 30, 1 << 30)


def test_a_fault_of_nnx_in_computing_memory_is_not_kept_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_arguments: Any) -> None:
        raise AttributeError("a fault")

    monkeypatch.setattr(sketch.Sketch, "build", fails)
    x, y = digits()
    with pytest.raises(AttributeError, match="a fault"):
        network(Small(MIB)).fit(x, y, batch_size=4096)
    own(Outside(), Small(MIB)).fit(x, y % 2, batch_size=4096, epochs=0)  # here it may be the layer's


LAYERS: dict[str, tuple[Callable[[], list[nnx.Layer]], tuple[int, ...]]] = {
    "dense": (lambda: [nnx.Dense(256, "relu"), nnx.Dense(256, "tanh"), nnx.Dense(3)], (64,)),
    "one value": (lambda: [nnx.Dense(1)], (1,)),
    "norms": (lambda: [nnx.BatchNorm(), nnx.Dropout(0.5), nnx.LayerNorm(), nnx.Dense(2)], (50,)),
    "images": (
        lambda: [nnx.Conv2D(4, 9, padding="same"), nnx.MaxPool2D(7, 1), nnx.Flatten(), nnx.Dense(2)],
        (16, 16, 1),
    ),
    "sequences": (
        lambda: [nnx.Bidirectional(nnx.GRU(9, return_sequences=True)), nnx.LSTM(8), nnx.Dense(2)],
        (40, 3),
    ),
}


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("size", [1, 48])
def test_the_bound_from_shapes_is_above_what_is_computed(backend: Backend, kind: str, size: int) -> None:
    make, shape = LAYERS[kind]
    model = nnx.Sequential(make(), input_shape=shape, backend=backend).compile("softmax_cross_entropy")
    need = model.memory(size, examples=3 * size)
    assert need.prediction < bounds.bound_of_step(model, shape, size)
    examples = Examples(np.zeros((3 * size, *shape), "float32"), np.zeros(3 * size, np.int64))
    bound = bounds.bound_of_copies(model) + bounds.bound_of_batches(model, examples, size)
    assert need.training < bound


def test_small_requests_are_let_through_without_asking_what_is_free() -> None:
    class Silent(NumpyBackend):
        def memory(self) -> Memory:
            raise AssertionError("asking takes longer than the prediction")

    model = nnx.Sequential([nnx.Dense(8), nnx.Dense(3)], input_shape=(4,), backend=Silent())
    assert model.predict(np.zeros((100, 4))).shape == (100, 3)
    with pytest.raises(AssertionError):
        model.predict(np.zeros((100_000, 4)), batch_size=100_000)


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


@pytest.mark.skipif(sys.platform != "linux", reason="limits of the address space are Linux's")
def test_the_limit_of_the_process_counts() -> None:
    code = """
import resource, nnx
from nnx.interface import host_memory
resource.setrlimit(resource.RLIMIT_AS, (4 << 30, resource.getrlimit(resource.RLIMIT_AS)[1]))
assert host_memory().free < 4 << 30
try:
    nnx.Sequential([nnx.Dense(20_000)], input_shape=(20_000,))
except nnx.errors.MemoryLimitError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith(
        "Building the model up to 0.weight, of shape (20000, 20000) and 1.5 GiB as float32, needs 6.0 GiB"
    )


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of a process is read from /proc")
def test_what_was_computed_is_what_training_takes() -> None:  # the others: python -m tests.support.memory
    computed, measured = measure("dense", "numpy")
    assert computed > 100 * MIB
    assert measured == pytest.approx(computed, rel=0.1)
