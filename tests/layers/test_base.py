"""What all layers have in common."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from support.gradients import mount

from nnx import (
    GRU,
    LSTM,
    Activation,
    AveragePool1D,
    AveragePool2D,
    Backend,
    BatchNorm,
    Bidirectional,
    Context,
    Conv1D,
    Conv2D,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    GlobalAveragePool1D,
    GlobalAveragePool2D,
    Layer,
    LayerNorm,
    MaxPool1D,
    MaxPool2D,
    Reshape,
    Residual,
    Sequential,
    SimpleRNN,
    SpatialDropout,
    TimeDistributed,
)
from nnx.configuration import from_config, to_config
from nnx.errors import ShapeError
from nnx.layers import LAYERS

MAKE: dict[str, Callable[[], Layer]] = {
    "Activation": lambda: Activation("elu", alpha=0.5),
    "AveragePool1D": lambda: AveragePool1D(3, strides=2, padding=((1, 0),)),
    "AveragePool2D": lambda: AveragePool2D((2, 1), padding=((1, 0), (0, 0))),
    "BatchNorm": lambda: BatchNorm(momentum=0.2, eps=1e-4),
    "Bidirectional": lambda: Bidirectional(GRU(3, return_sequences=True), merge="sum"),
    "Conv1D": lambda: Conv1D(4, 2, strides=2, padding=((1, 0),), dilation_rate=2, groups=2, bias=False),
    "Conv2D": lambda: Conv2D(4, (2, 1), strides=(1, 2), padding=((1, 0), (0, 2)), activation="elu", alpha=0.3),
    "Dense": lambda: Dense(3, activation="leaky_relu", init="glorot_uniform", bias=False, l2=0.1, alpha=0.2),
    "Dropout": lambda: Dropout(0.25),
    "Embedding": lambda: Embedding(7, 3, init="uniform"),
    "Flatten": Flatten,
    "GRU": lambda: GRU(3, return_sequences=True, bias=False, l2=0.1),
    "GlobalAveragePool1D": GlobalAveragePool1D,
    "GlobalAveragePool2D": GlobalAveragePool2D,
    "LSTM": lambda: LSTM(3, return_sequences=True, unit_forget_bias=False, recurrent_init="he"),
    "LayerNorm": lambda: LayerNorm(eps=1e-3),
    "MaxPool1D": lambda: MaxPool1D(3, strides=1, padding="same"),
    "MaxPool2D": lambda: MaxPool2D((2, 3), strides=(1, 2), padding=1),
    "Reshape": lambda: Reshape((2, -1)),
    "Residual": lambda: Residual([Dense(4), BatchNorm()]),
    "SimpleRNN": lambda: SimpleRNN(3, "relu", return_sequences=True, init="he"),
    "SpatialDropout": lambda: SpatialDropout(0.25),
    "TimeDistributed": lambda: TimeDistributed([Dense(5), LayerNorm()]),
}
SEQUENCE, IMAGE = (6, 4), (6, 5, 4)
SHAPES = {name: IMAGE if name.endswith("2D") else SEQUENCE for name in MAKE} | {"Embedding": (6,)}
HOLDING = ("Bidirectional", "Residual", "TimeDistributed")


def test_every_layer_that_can_be_saved_is_tested_here() -> None:
    assert MAKE.keys() == LAYERS.keys()


@pytest.mark.parametrize("name", LAYERS)
def test_the_configuration_makes_an_equal_layer(name: str) -> None:
    layer = MAKE[name]()
    again = LAYERS[name](**layer.config())
    assert again.config() == layer.config()
    assert repr(again) == repr(layer)


@pytest.mark.parametrize("name", LAYERS)
def test_an_option_that_does_not_exist_is_refused_in_the_name_of_the_layer(name: str) -> None:
    with pytest.raises(TypeError, match=rf"^{name}\.__init__\(\) got an unexpected keyword argument 'stride'"):
        LAYERS[name](**MAKE[name]().config(), stride=2)


def test_a_layer_is_shown_as_it_is_written() -> None:
    shown = [repr(MAKE[name]()) for name in ("Dense", "Reshape", "MaxPool1D", "Bidirectional")]
    assert shown == [
        "Dense(3, activation='leaky_relu', init='glorot_uniform', bias=False, l2=0.1, alpha=0.2)",
        "Reshape((2, -1))",
        "MaxPool1D(pool_size=3, strides=1, padding='same')",
        "Bidirectional(GRU(3, return_sequences=True), merge='sum')",
    ]
    with pytest.raises(ShapeError, match=r"^Dense\(3, activation='relu'\) expects inputs of at least one feature"):
        Sequential([Dense(3, activation="relu")], input_shape=(), backend="generic:numpy")


@pytest.mark.parametrize("name", [name for name in LAYERS if name not in HOLDING])
def test_the_configuration_is_the_same_before_and_after_building_and_as_json(name: str) -> None:
    layer = MAKE[name]()
    before = layer.config()
    Sequential([layer], input_shape=SHAPES[name], backend="generic:numpy")
    assert layer.config() == before
    assert LAYERS[name](**json.loads(json.dumps(before))).config() == before


@pytest.mark.parametrize("name", LAYERS)
def test_a_model_with_the_layer_is_made_again_from_json(name: str, backend: Backend) -> None:
    model = Sequential([MAKE[name]()], input_shape=SHAPES[name], backend=backend)
    config = json.loads(json.dumps({**to_config(model), "metadata": {}}))
    again = from_config(config, backend, room=1 << 20)
    assert repr(again.chain.layers) == repr(model.chain.layers)
    assert again.output_shape == model.output_shape
    assert to_config(again) == to_config(model)
    again.from_host(model.to_host())
    for key, values in model.get_weights().items():
        np.testing.assert_array_equal(again.get_weights()[key], values)


def example_of(name: str) -> np.ndarray[Any, Any]:
    random = np.random.default_rng(15)
    shape = (3, *SHAPES[name])
    return random.integers(0, 7, shape) if name == "Embedding" else random.normal(size=shape)


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_maps_its_inputs_to_the_shape_it_promised(name: str, backend: Backend) -> None:
    bench = mount(MAKE[name](), SHAPES[name], backend, path="0")
    assert bench.run(example_of(name))[0].shape == (3, *bench.output_shape)


@pytest.mark.parametrize("name", LAYERS)
def test_a_batch_without_rows_gives_none(name: str, backend: Backend) -> None:
    bench = mount(MAKE[name](), SHAPES[name], backend, path="0")
    assert bench.run(example_of(name)[:0], train=False)[0].shape == (0, *bench.output_shape)


@pytest.mark.parametrize("name", [name for name in LAYERS if MAKE[name]().takes == "numbers"])
def test_training_replays_what_it_does_eagerly(name: str, backend: Backend) -> None:
    x, weights = np.random.default_rng(16).normal(size=(5, *SHAPES[name])), []
    for eager in (False, True):
        layers = [Dense(4, activation="tanh"), MAKE[name](), Flatten(), Dense(1)]
        model = Sequential(layers, seed=4, backend=backend, dtype="float64").compile("mean_squared_error", "sgd")
        model.fit(x, np.ones(5), epochs=3, batch_size=2, eager=eager)
        weights.append(model.get_weights())
    for key, values in weights[0].items():
        np.testing.assert_array_equal(values, weights[1][key])


@pytest.mark.parametrize("name", [name for name in LAYERS if MAKE[name]().streams])
def test_a_layer_that_streams_gives_in_pieces_what_it_gives_in_one(name: str, backend: Backend) -> None:
    bench, x, context = (
        mount(MAKE[name](), SHAPES[name], backend, path="0"),
        example_of(name),
        Context(False, states={}),
    )
    pieces = [bench.host(bench.layer.forward(bench.array(x[:, t : t + 2]), context)[0]) for t in (0, 2, 4)]
    # a product of other extents may sum in another order
    np.testing.assert_allclose(np.concatenate(pieces, 1), bench.run(x, train=False)[0], rtol=1e-13, atol=1e-14)


def test_layers_that_look_across_steps_do_not_stream() -> None:
    across = {"Flatten", "Reshape", "Bidirectional", *(name for name in LAYERS if name.endswith(("1D", "2D")))}
    assert {name for name in LAYERS if not MAKE[name]().streams} == across
    assert not Residual([Conv1D(4, 1)]).streams


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_moves_to_another_backend_with_its_values(name: str, backend: Backend) -> None:
    layers = [MAKE[name]()]
    model = Sequential(layers, input_shape=SHAPES[name], dtype="float64", backend="generic:numpy")
    x = example_of(name)

    def outputs() -> np.ndarray[Any, Any]:
        inputs = model.ops.asarray(x, "int64" if name == "Embedding" else None)
        return model.backend.to_numpy(model.chain.forward(inputs, Context(False))[0])

    before = outputs()
    model.to(backend)
    np.testing.assert_allclose(outputs(), before, rtol=1e-12, atol=1e-13)


BEFORE = {
    "nothing": list,
    "views": lambda: [Flatten(), Reshape((2, 2)), Flatten()],
    "dropout": lambda: [Dropout(0.5)],
    "activation": lambda: [Activation("tanh")],
    "residual": lambda: [Residual([Activation("tanh"), Dropout(0.5)])],
}
FIRST = {"Dense": lambda: Dense(3), "BatchNorm": BatchNorm, "Residual": lambda: Residual([Dense(4)])}
SEQUENCE_FIRST = {
    "Conv1D": (lambda: Conv1D(3, 2), 1),
    "SimpleRNN": (lambda: SimpleRNN(3), 2),
    "LSTM": (lambda: LSTM(3), 2),
    "GRU": (lambda: GRU(3), 2),
    "Bidirectional": (lambda: Bidirectional(GRU(3)), 5),
    "TimeDistributed": (lambda: TimeDistributed([Dense(3)]), 1),
    "MaxPool1D": (MaxPool1D, 0),
    "AveragePool1D": (AveragePool1D, 0),
    "GlobalAveragePool1D": (GlobalAveragePool1D, 0),
    "SpatialDropout": (lambda: SpatialDropout(0.5), 0),
}


def backward_kernels(layers: list[Layer], backend: Backend, shape: tuple[int, ...] = (4,)) -> list[str]:
    """Return the kernels of a backward pass, which must give no gradient of the inputs."""
    model = Sequential(layers, input_shape=shape, backend=backend)
    y, backward = model.chain.forward(model.ops.asarray(np.ones((2, *shape))), Context(True))
    with model.ops.recording() as tape:
        assert backward(model.ops.like(y)) is None
    return [call.kernel.__name__ for call in tape.calls]


@pytest.mark.parametrize("before", BEFORE)
@pytest.mark.parametrize("first", FIRST)
def test_no_gradient_is_computed_of_inputs_that_nothing_learns_from(
    backend: Backend, before: str, first: str
) -> None:
    alone = backward_kernels([FIRST[first]()], backend)
    assert len(alone) == 1
    assert backward_kernels([*BEFORE[before](), FIRST[first]()], backend) == alone


@pytest.mark.parametrize("first", SEQUENCE_FIRST)
def test_no_gradient_is_computed_of_sequences_that_nothing_learns_from(backend: Backend, first: str) -> None:
    make, kernels = SEQUENCE_FIRST[first]
    assert len(backward_kernels([make()], backend, SEQUENCE)) == kernels
