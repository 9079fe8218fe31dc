"""Networks of convolutions, recurrences and tokens as wholes: saved, loaded, moved, summarised, undone."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from support.problems import assert_same_bits, measured, weights_of

import nnx
from nnx import Backend, Layer
from nnx.errors import DivergenceError
from nnx.schedules import Schedule

RANDOM = np.random.default_rng(12)


def images() -> list[Layer]:
    return [
        nnx.Conv2D(4, (3, 2), strides=(1, 2), padding=((1, 1), (0, 1)), bias=False),
        nnx.BatchNorm(),
        nnx.MaxPool2D((2, 1)),
        nnx.Conv2D(4, 3, padding="same", dilation_rate=(2, 1), groups=2, activation="relu"),
        nnx.SpatialDropout(0.2),
        nnx.AveragePool2D(2, padding="same"),
        nnx.GlobalAveragePool2D(),
        nnx.Dense(3),
    ]


def text() -> list[Layer]:
    return [
        nnx.Embedding(5, 4),
        nnx.Conv1D(4, 3, padding=((2, 0),), activation="tanh"),
        nnx.Residual([nnx.LSTM(4, return_sequences=True, unit_forget_bias=False)]),
        nnx.Bidirectional(nnx.GRU(3, return_sequences=True), merge="sum"),
        nnx.TimeDistributed([nnx.Reshape((3, 1)), nnx.Flatten(), nnx.Dense(3)]),
    ]


def states() -> list[Layer]:
    return [
        nnx.SimpleRNN(4, activation="relu", return_sequences=True, init="lecun"),
        nnx.Dropout(0.2),
        nnx.LSTM(3, return_state=True, go_backwards=True, l2=0.1),
        nnx.Dense(3),
    ]


NETWORKS: dict[str, tuple[Callable[[], list[Layer]], NDArray[Any], NDArray[Any]]] = {
    "images": (images, RANDOM.normal(size=(10, 6, 5, 2)), np.arange(10) % 3),
    "text": (text, RANDOM.integers(0, 5, (10, 6)), RANDOM.integers(0, 3, (10, 6))),
    "states": (states, RANDOM.normal(size=(10, 5, 2)), np.arange(10) % 3),
}


def made(network: str, backend: Backend) -> tuple[nnx.Sequential, NDArray[Any], NDArray[Any]]:
    layers, x, y = NETWORKS[network]
    model = nnx.Sequential(layers(), seed=6, dtype="float64", backend=backend)
    return model.compile("softmax_cross_entropy", nnx.Adam(0.01), l2=0.01), x, y


@pytest.mark.parametrize("network", NETWORKS)
def test_a_loaded_network_is_the_saved_one_and_trains_on_alike(
    backend: Backend, tmp_path: Path, network: str
) -> None:
    model, x, y = made(network, backend)
    model.fit(x, y, epochs=2, batch_size=4)
    model.save(tmp_path / "model.h5")
    loaded = nnx.load(tmp_path / "model.h5", backend=backend)
    assert repr(loaded.chain.layers) == repr(model.chain.layers)
    assert loaded.summary() == model.summary()
    np.testing.assert_array_equal(loaded.predict(x), model.predict(x))
    first, second = (one.fit(x, y, epochs=2, batch_size=4) for one in (model, loaded))
    assert measured(first) == measured(second)
    assert_same_bits(model, loaded)


@pytest.mark.parametrize("network", NETWORKS)
def test_options_that_are_tuples_come_back_as_tuples(tmp_path: Path, network: str) -> None:
    model, x, y = made(network, nnx.get_backend("numpy"))
    model.fit(x, y)
    model.save(tmp_path / "model.h5")
    loaded = nnx.load(tmp_path / "model.h5")
    for mine, theirs in zip(model.chain.layers, loaded.chain.layers, strict=True):
        plain = {name: value for name, value in mine.config().items() if isinstance(value, int | str | tuple)}
        assert {name: theirs.config()[name] for name in plain} == plain


@pytest.mark.parametrize("network", NETWORKS)
def test_eager_and_replayed_training_are_the_same_bit_for_bit(backend: Backend, network: str) -> None:
    runs = []
    for eager in (False, True):
        model, x, y = made(network, backend)
        runs.append((model, measured(model.fit(x, y, epochs=2, batch_size=4, validation_data=(x, y), eager=eager))))
    assert runs[0][1] == runs[1][1]
    assert_same_bits(runs[0][0], runs[1][0])


@pytest.mark.parametrize("network", NETWORKS)
def test_a_network_moved_there_and_back_in_mid_training_goes_on_as_if_it_had_stayed(
    backend: Backend, network: str
) -> None:
    (moved, x, y), (stayed, _, _) = made(network, backend), made(network, backend)
    for model in (moved, stayed):
        model.fit(x, y, batch_size=4)
    expected = moved.predict(x)
    moved.to("generic:numpy")
    np.testing.assert_allclose(moved.predict(x), expected, rtol=1e-10, atol=1e-12)
    moved.to(backend)
    for model in (moved, stayed):
        model.fit(x, y, batch_size=4)
    assert_same_bits(moved, stayed)


@pytest.mark.parametrize("network", NETWORKS)
def test_a_summary_counts_every_parameter_in_the_row_of_its_layer(network: str) -> None:
    model, x, _ = made(network, nnx.get_backend("numpy"))
    model.build(x.shape[1:])
    rows = model.summary().splitlines()[2:-2]
    counts = [int(row.rsplit(maxsplit=1)[-1].replace(",", "")) for row in rows]
    for index, count in enumerate(counts):
        own = [item for item in model.store.parameters if item.name.split(".")[0] == str(index)]
        assert count == sum(math.prod(item.shape) for item in own)
    assert sum(counts) == model.store.count() == sum(value.size for value in _trained(model))
    for row, shape in zip(rows, model.chain.shapes, strict=True):
        assert f"(N, {', '.join(map(str, shape))})" in row


def _trained(model: nnx.Sequential) -> list[NDArray[Any]]:
    names = {item.name for item in model.store.parameters}
    return [value for name, value in model.get_weights().items() if name in names]


class Leap(Schedule):
    """A small rate, but a huge one in the second step of three."""

    def __call__(self, epoch: float) -> float:
        return 1e300 if round(epoch * 3) == 1 else 0.01


@pytest.mark.parametrize("eager", [False, True], ids=["replayed", "eager"])
def test_a_recurrent_network_that_diverges_is_left_as_before_the_step_and_its_layer_named(
    backend: Backend, eager: bool
) -> None:
    random, lengths = np.random.default_rng(13), np.arange(10) % 4 + 2
    x, y = random.normal(size=(10, 5, 2)), random.normal(size=(10, 5, 1))
    layers = [nnx.SimpleRNN(4, activation="relu", return_sequences=True), nnx.Dense(1)]
    model = nnx.Sequential(layers, seed=1, dtype="float64", backend=backend)
    model.compile("mean_squared_error", nnx.SGD(Leap()))
    place = "The loss became (nan|inf) in epoch 1, step 3 of 3: layer 0, SimpleRNN"
    with pytest.raises(DivergenceError, match=place):
        model.fit(x, y, lengths=lengths, batch_size=4, epochs=2, eager=eager)
    assert np.isfinite(weights_of(model)).all()
    assert int(model.backend.to_numpy(model.step)) == 2


def test_the_layer_named_is_one_of_the_real_steps(backend: Backend) -> None:
    x, lengths = np.ones((3, 2, 1)), [1, 2, 1]
    x[[0, 2], 1] = 1e300  # in the padding, which would be infinite after the first layer
    layers = [nnx.SimpleRNN(1, activation="relu", return_sequences=True), nnx.Dense(1)]
    model = nnx.Sequential(layers, dtype="float64", input_shape=(2, 1), backend=backend)
    model.compile("mean_absolute_error", nnx.SGD(0.1))
    model.set_weights({"0.weight": [[1e200]], "1.weight": [[1e200]]})
    with pytest.raises(DivergenceError, match=r"epoch 1, step 1 of 1: layer 1, Dense\(1\), is the first"):
        model.fit(x, np.zeros((3, 2, 1)), lengths=lengths)
