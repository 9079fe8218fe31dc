"""What does not fit in memory is refused with the figure, before any of it is taken."""

from __future__ import annotations

import pickle
import subprocess
import sys
from contextlib import nullcontext
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.sizes import LAYERS, MIB, Outside, Small, digits, network, own

import nnx
from nnx import Backend, bounds, sketch
from nnx.errors import DataError, MemoryLimitError
from nnx.inputs import Examples
from nnx.interface import Memory
from nnx_numpy.backend import NumpyBackend


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
    model = nnx.Sequential(layers, input_shape=(3000,))  # raises where the first layer is asked for twice
    assert model.get_weights()["0.weight"].shape == (3000, 1500)


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
