"""Chains and residual connections."""

from __future__ import annotations

import numpy as np
import pytest
from support.gradients import check_gradients, mount

from nnx import (
    LSTM,
    Activation,
    Backend,
    BatchNorm,
    Context,
    Conv1D,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    LayerNorm,
    MaxPool2D,
    Residual,
    Sequential,
    TimeDistributed,
)
from nnx.errors import OptionError, ShapeError
from nnx.layers import Chain, Observer


def test_gradients_run_through_a_chain_of_everything(backend: Backend) -> None:
    layers = [
        Dense(6, activation="silu"),
        BatchNorm(),
        Dropout(0.3),
        Residual([Dense(6, activation="tanh"), LayerNorm()]),
        Activation("softplus"),
        Flatten(),
        Dense(3, activation="log_softmax"),
    ]
    check_gradients(Chain(layers), (2, 4), backend)


@pytest.mark.parametrize(
    "inner",
    [
        [lambda: Dense(4, activation="gelu")],
        [lambda: Activation("sigmoid")],
        [BatchNorm, lambda: Dense(4)],
        [lambda: Residual([Dense(4)]), LayerNorm],
        [],
    ],
)
def test_gradients_of_a_residual_add_both_ways(backend: Backend, inner: list) -> None:
    check_gradients(Residual([make() for make in inner]), (4,), backend)


def test_a_residual_adds_what_its_layers_make(backend: Backend) -> None:
    x = np.random.default_rng(1).normal(size=(3, 4))
    y, _ = mount(Residual([Activation("tanh")]), (4,), backend).run(x)
    np.testing.assert_allclose(y, x + np.tanh(x), rtol=1e-14)


def test_a_residual_that_changes_the_shape_is_refused_when_the_model_is_built() -> None:
    with pytest.raises(ShapeError, match=r"Residual expects layers that keep the shape \(4,\), got \(5,\)"):
        Sequential([Residual([Dense(5)])], input_shape=(4,), backend="generic:numpy")


@pytest.mark.parametrize(
    ("layers", "shape"), [([Conv2D(2, 3)], (6, 5, 2)), ([MaxPool2D()], (6, 5, 2)), ([Conv1D(2, 3)], (6, 2))]
)
def test_a_residual_that_shrinks_its_inputs_is_told_of_padding(layers: list, shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=r"out of them\. Give convolutions and pooling padding=.same. and strides"):
        Sequential([Residual(layers)], input_shape=shape, backend="generic:numpy")
    with pytest.raises(ShapeError, match=r"got \(6, 5, 3\) out of them\.$"):
        Sequential([Residual([Conv2D(3, 1)])], input_shape=(6, 5, 2), backend="generic:numpy")


def test_observers_see_every_layers_results(backend: Backend) -> None:
    class Notes(Observer):
        def __init__(self) -> None:
            self.outputs, self.gradients = [], []

        def forward(self, index, output):
            self.outputs.append((index, tuple(output.shape)))

        def backward(self, index, gradient):
            self.gradients.append((index, None if gradient is None else tuple(gradient.shape)))

    chain, notes = Chain([Dense(3), Activation("relu"), Dense(2)]), Notes()
    bench = mount(chain, (4,), backend)
    y, backward = chain.observed_forward(bench.ops.asarray(np.ones((5, 4))), Context(True), notes)
    backward(y)
    assert notes.outputs == [(0, (5, 3)), (1, (5, 3)), (2, (5, 2))]
    assert notes.gradients == [(2, (5, 3)), (1, (5, 3)), (0, (5, 4))]


def test_a_layer_in_two_places_of_a_chain_is_refused() -> None:
    layer = Dense(3)
    with pytest.raises(
        OptionError, match="layers holds the same layer object twice; make one object for each place"
    ):
        Sequential([layer, layer])


def test_a_layer_in_a_model_and_in_a_residual_of_it_is_refused() -> None:
    layer = Dense(3)
    with pytest.raises(OptionError, match="the same layer object"):
        Sequential([layer, Residual([layer])], input_shape=(3,), backend="generic:numpy")


def test_a_layer_of_another_model_is_refused_instead_of_sharing_its_weights() -> None:
    layer = Dense(3)
    first = Sequential([layer], input_shape=(3,), backend="generic:numpy")
    before = first.predict(np.ones((1, 3)))
    with pytest.raises(OptionError, match="belongs to another model"):
        Sequential([layer], input_shape=(3,), seed=5, backend="generic:numpy")
    np.testing.assert_array_equal(first.predict(np.ones((1, 3))), before)


def test_layers_of_a_model_that_could_not_be_built_may_be_used_again() -> None:
    layers = [Dense(3), Residual([Dense(4)])]
    with pytest.raises(ShapeError):
        Sequential(layers, input_shape=(2,), backend="generic:numpy")
    Sequential(layers[:1], input_shape=(2,), backend="generic:numpy")


@pytest.mark.parametrize("layers", [[Dense(2), "relu"], [Dense], [None]])
def test_what_is_not_a_layer_is_refused(layers: list) -> None:
    with pytest.raises(OptionError, match=r"layers must be nnx layers such as Dense\(10\), got "):
        Sequential(layers)


def test_a_single_layer_in_place_of_a_list_is_refused() -> None:
    with pytest.raises(OptionError, match=r"layers must be a list of nnx layers, got Dense"):
        Sequential(Dense(3))


@pytest.mark.parametrize(
    ("layers", "shape"),
    [
        (lambda: [Dense(4, activation="gelu"), BatchNorm(), Dropout(0.3)], (3, 2)),
        (lambda: [Conv2D(2, 2, activation="tanh"), MaxPool2D(), Flatten(), Dense(2)], (2, 5, 3, 1)),
        (lambda: [LSTM(2)], (2, 3, 2)),
        (lambda: [TimeDistributed([Dense(2)])], (2, 3, 2)),
        (list, (3, 2)),
    ],
    ids=["vectors", "images", "sequences of sequences", "twice", "nothing"],
)
def test_gradients_of_layers_for_every_step_are_the_slopes(
    backend: Backend, layers, shape: tuple[int, ...]
) -> None:
    check_gradients(TimeDistributed(layers()), shape, backend, rows=3)


def test_every_step_is_mapped_as_an_example_of_its_own(backend: Backend) -> None:
    x = np.random.default_rng(2).normal(size=(3, 4, 5, 5, 1))
    inner = [Conv2D(2, 3), Flatten(), Dense(3)]
    bench = mount(TimeDistributed(inner), (4, 5, 5, 1), backend)

    def alone(step):
        y = bench.array(step)
        for layer in inner:
            y, _ = layer.forward(y, Context(False))
        return bench.host(y)

    expected = [alone(x[:, t]) for t in range(4)]
    np.testing.assert_allclose(bench.run(x)[0], np.stack(expected, 1), rtol=1e-13, atol=1e-14)


def test_a_dense_for_every_step_is_a_dense(backend: Backend) -> None:
    x = np.random.default_rng(3).normal(size=(3, 4, 5))
    one, two = mount(TimeDistributed([Dense(2)]), (4, 5), backend), mount(Dense(2), (4, 5), backend)
    np.testing.assert_array_equal(one.run(x)[0], two.run(x)[0])


def test_lengths_of_the_sequences_are_not_those_of_the_sequences_that_their_steps_are(backend: Backend) -> None:
    bench = mount(TimeDistributed([LSTM(2)]), (4, 3, 2), backend)
    x = np.random.default_rng(4).normal(size=(2, 4, 3, 2))
    np.testing.assert_array_equal(bench.run(x, lengths=[1, 2])[0], bench.run(x)[0])


def test_steps_that_the_layers_cannot_take_are_refused_when_the_model_is_built() -> None:
    with pytest.raises(
        ShapeError, match=r"TimeDistributed expects sequences \(N, T, ...\) of steps with at least one axis, got "
    ):
        Sequential([TimeDistributed([Dense(2)])], input_shape=(), backend="generic:numpy")
    with pytest.raises(ShapeError, match=r"got examples of shape \(4,\). Put Reshape\(\(4, 1\)\) before it."):
        Sequential([TimeDistributed([Dense(2)])], input_shape=(4,), backend="generic:numpy")
    with pytest.raises(
        ShapeError, match=r"got examples of shape \(4,\). Set return_sequences=True in the recurrent"
    ):
        Sequential([LSTM(4), TimeDistributed([Dense(2)])], input_shape=(4, 1), backend="generic:numpy")
