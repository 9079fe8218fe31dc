"""Memory is computed before it is taken, and what does not fit is refused with the figure."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass

import numpy as np
import pytest
from support.memory import measure

import nnx
from nnx import sketch
from nnx.errors import DataError, MemoryLimitError, NotBuiltError, OptionError, ShapeError, in_units
from nnx.interface import outline, placed
from nnx.tape import Tape
from nnx_numpy.backend import NumpyBackend

MIB = 1 << 20


class Small(NumpyBackend):
    """NumPy on a computer with little memory left."""

    def __init__(self, free: int | None) -> None:
        self.free = free

    def free_memory(self) -> int | None:
        return self.free


def network(backend="numpy", *, units=512, **options):
    model = nnx.Sequential([nnx.Dense(units, "relu"), nnx.Dense(units, "relu"), nnx.Dense(10)], backend=backend)
    return model.compile("softmax_cross_entropy", **options)


def digits(count=5000, features=64):
    return np.zeros((count, features), "float32"), np.arange(count) % 10


@pytest.mark.parametrize("size", [0, -1, True, "full", "32", 1.5, None])
def test_a_batch_that_is_no_count_is_refused(size):
    with pytest.raises(OptionError, match="batch_size"):
        network().memory(size, (64,))


def test_a_model_without_shape_or_goal_says_what_is_missing():
    with pytest.raises(NotBuiltError, match="input_shape"):
        network().memory(32)
    with pytest.raises(NotBuiltError, match="compile"):
        nnx.Sequential([nnx.Dense(1)]).memory(32, (4,))
    with pytest.raises(ShapeError):
        nnx.Sequential([nnx.Conv2D(4, 9), nnx.Flatten(), nnx.Dense(1)]).compile("huber").memory(1, (4, 4, 1))


def test_the_figure_is_that_of_the_buffers_and_arrays_of_a_dense_step():
    need = network(optimizer="sgd").memory(32, (64,))
    assert need.parameters == need.gradients == 4 * (64 * 512 + 512 + 512 * 512 + 512 + 512 * 10 + 16)
    assert need.moments == need.statistics == need.examples == 0
    widths = 64 + 1 * 2  # a batch of inputs, and its labels of eight bytes
    outputs = 512 + 512 + 10  # and their gradients; before each activation another for the slope of relu
    assert 4 * 32 * (widths + 2 * outputs) <= need.activations < 4 * 32 * (widths + 3 * outputs) + 1000
    assert need.total == need.held + need.training


def test_computing_builds_nothing_and_leaves_a_built_model_as_it_was():
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


def test_batches_cost_alike_and_impossible_ones_are_no_crash(backend):
    model = nnx.Sequential([nnx.Flatten(), nnx.Dense(4)], backend=backend).compile("softmax_cross_entropy")
    small, large, larger = (model.memory(size, (3, 3)) for size in (1000, 2000, 3000))
    assert larger.activations - large.activations == large.activations - small.activations > 0
    assert model.memory(10**12, (3, 3)).activations > 10**13
    with pytest.raises(MemoryLimitError, match="more than any computer has"):
        model.memory(10**19, (3, 3))


def test_a_last_smaller_batch_and_the_data_set_are_counted():
    model = network()
    even, ragged = model.memory(100, (64,), examples=1000), model.memory(100, (64,), examples=1050)
    assert even.examples >= 1000 * (64 * 4 + 8)
    assert ragged.activations > even.activations
    assert model.memory(100, (64,)).activations == even.activations


def test_statistics_of_batch_normalisation_and_more_steps_are_counted():
    layers = [nnx.LSTM(8, return_sequences=True), nnx.BatchNorm(), nnx.GRU(4), nnx.Dense(2)]
    model = nnx.Sequential(layers, input_shape=(10, 3)).compile("softmax_cross_entropy")
    assert model.memory(4).statistics == 2 * 64
    assert model.memory(4, (1000, 3)).activations > 50 * model.memory(4).activations


@dataclass(eq=False, repr=False)
class Twice(nnx.Layer):
    """y = x + x, of operations alone, on views."""

    def forward(self, x, context):
        del context
        first = x[:, :2]
        return self.ops.add(x, x), lambda dy: self.ops.add(dy, dy) if first.shape[1] == 2 else None


@dataclass(eq=False, repr=False)
class Outside(nnx.Layer):
    """Computes with the array library itself."""

    def forward(self, x, context):
        del context
        return x * 2, lambda dy: dy * 2


def own(layer, backend="numpy"):
    return nnx.Sequential([nnx.Dense(8), layer, nnx.Dense(2)], backend=backend).compile("softmax_cross_entropy")


def test_layers_of_ones_own_are_followed_and_what_cannot_be_followed_says_so():
    plain = nnx.Sequential([nnx.Dense(8), nnx.Dense(2)]).compile("softmax_cross_entropy").memory(64, (4,))
    need = own(Twice()).memory(64, (4,))
    assert need.activations == plain.activations + 2 * 64 * 8 * 4
    with pytest.raises(OptionError, match=r"self\.ops alone"):
        own(Outside()).memory(64, (4,))
    x, y = digits(300_000, 4)
    own(Outside(), Small(1000)).fit(x, y % 2, batch_size=250_000, epochs=0)  # unknown is not refused


def test_training_that_does_not_fit_is_refused_with_the_largest_batch_that_does():
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


def test_training_for_which_no_batch_is_small_enough_says_what_takes_the_memory():
    x, y = digits()
    with pytest.raises(MemoryLimitError, match=r"not even batches of 1 fit, .* of copies, .* the model itself"):
        network(Small(MIB)).fit(x, y, batch_size=4096)
    with pytest.raises(MemoryLimitError, match="Training in batches of 5000"):
        network(Small(MIB)).fit(x, y, batch_size="full")


def test_padded_sequences_that_do_not_fit_are_refused():
    x, lengths = np.zeros((600, 50, 8), "float32"), np.full(600, 20)
    model = nnx.Sequential([nnx.LSTM(32), nnx.Dense(2)], backend=Small(MIB)).compile("softmax_cross_entropy")
    with pytest.raises(MemoryLimitError, match="Training"):
        model.fit(x, lengths % 2, lengths=lengths, batch_size=512)


def test_evaluation_and_prediction_that_do_not_fit_are_refused():
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


def test_wrong_data_are_still_called_wrong_where_memory_is_short():
    x, y = digits()
    x[0, 0] = np.nan
    with pytest.raises(DataError, match="NaN"):
        network(Small(MIB)).fit(x, y, batch_size=4096)


def test_a_device_of_its_own_is_asked_whether_the_parameters_fit():
    backend = Small(10 * MIB)
    backend.on_host = False
    with pytest.raises(MemoryLimitError, match=r"Building the model up to 1\.weight, .* 10\.0 MiB are free"):
        network(backend, units=2048).build((64,))


def test_scratch_of_large_batches_is_what_an_engine_would_say(monkeypatch):
    layers = [nnx.Conv2D(8, 3, padding="same"), nnx.MaxPool2D(2), nnx.Flatten(), nnx.Dense(10)]
    model = nnx.Sequential(layers, input_shape=(16, 16, 1)).compile("softmax_cross_entropy")
    need = model.memory(8192)
    assert need.activations > sketch._PLANNED
    monkeypatch.setattr(sketch, "_PLANNED", 1 << 40)
    assert need.scratch == pytest.approx(model.memory(8192).scratch, rel=0.05)


def test_a_file_is_not_read_where_its_model_does_not_fit(tmp_path):
    model = network(units=1500)
    model.build((64,))
    model.save(tmp_path / "model.h5")
    backend = Small(MIB)
    backend.on_host = False
    with pytest.raises(MemoryLimitError, match="Building the model"):
        nnx.load(tmp_path / "model.h5", backend=backend)


@pytest.mark.parametrize("units", [10**9, 10**12, 10**30])
def test_layers_of_absurd_sizes_are_refused_before_they_are_drawn(units):
    model = nnx.Sequential([nnx.Dense(units)])
    with pytest.raises(MemoryLimitError, match=r"Drawing 0\.weight, of shape .* as float32, needs"):
        model.build((units,))
    assert not model.built
    with pytest.raises(MemoryError):  # what others catch
        model.build((units,))


def test_figures_are_in_binary_units():
    assert [in_units(size) for size in (0, 1023, 1024, 3 << 29, 10**30)] == [
        *("0 B", "1023 B", "1.0 KiB", "1.5 GiB"),
        "827180.6 YiB",
    ]
    text = str(network().memory(32, (64,)))
    assert "total" in text
    assert len({len(line) for line in text.splitlines()}) == 1


def test_outlines_are_never_computed_with_and_never_take_memory():
    array = outline((10**6, 10**6), "float32")
    assert array.reshape(-1).T[5:].nbytes > 3 * 10**12
    array[...] = 1
    for compute in (lambda: array + 1, lambda: np.sum(array), lambda: np.exp(array)):
        with pytest.raises(TypeError):
            compute()
    assert placed(Tape()).calls == []


def test_a_device_is_asked_for_its_own_memory(backend):
    free = backend.free_memory()
    assert free is None or free > 0


@pytest.mark.skipif(sys.platform != "linux", reason="limits of the address space are Linux's")
def test_the_limit_of_the_process_counts():
    code = """
import resource, nnx
from nnx.interface import free_host_memory
resource.setrlimit(resource.RLIMIT_AS, (4 << 30, resource.getrlimit(resource.RLIMIT_AS)[1]))
assert free_host_memory() < 4 << 30
try:
    nnx.Sequential([nnx.Dense(20_000)], input_shape=(10_000,))
except nnx.errors.MemoryLimitError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith(
        "Drawing 0.weight, of shape (10000, 20000) and 762.9 MiB as float32, needs 6.0 GiB"
    )


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of a process is read from /proc")
def test_what_was_computed_is_what_training_takes():  # the others: python -m tests.support.memory
    computed, measured = measure("dense", "numpy")
    assert computed > 100 * MIB
    assert measured == pytest.approx(computed, rel=0.1)
