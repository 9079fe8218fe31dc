"""What all layers have in common."""

from __future__ import annotations

import numpy as np
import pytest

from nnx import (
    Activation,
    Backend,
    BatchNorm,
    Context,
    Dense,
    Dropout,
    Flatten,
    Layer,
    LayerNorm,
    Reshape,
    Residual,
    Sequential,
)
from nnx.layers import LAYERS

EXAMPLES = {
    "Activation": Activation("elu", alpha=0.5),
    "BatchNorm": BatchNorm(momentum=0.2, eps=1e-4),
    "Dense": Dense(3, activation="leaky_relu", init="glorot_uniform", bias=False, l2=0.1, alpha=0.2),
    "Dropout": Dropout(0.25),
    "Flatten": Flatten(),
    "LayerNorm": LayerNorm(eps=1e-3),
    "Reshape": Reshape((2, -1)),
    "Residual": Residual([Dense(4)]),
}


def test_every_layer_that_can_be_saved_is_tested_here() -> None:
    assert EXAMPLES.keys() == LAYERS.keys()


@pytest.mark.parametrize("name", LAYERS)
def test_the_configuration_makes_an_equal_layer(name: str) -> None:
    layer = EXAMPLES[name]
    again = LAYERS[name](**layer.config())
    assert again.config() == layer.config()
    assert repr(again) == repr(layer)


@pytest.mark.parametrize("name", [name for name in LAYERS if name != "Residual"])
def test_the_configuration_is_the_same_before_and_after_building(name: str) -> None:
    layer = LAYERS[name](**EXAMPLES[name].config())
    before = layer.config()
    Sequential([layer], input_shape=(4,), backend="generic:numpy")
    assert layer.config() == before


BEFORE = {
    "nothing": list,
    "views": lambda: [Flatten(), Reshape((2, 2)), Flatten()],
    "dropout": lambda: [Dropout(0.5)],
    "activation": lambda: [Activation("tanh")],
    "residual": lambda: [Residual([Activation("tanh"), Dropout(0.5)])],
}
FIRST = {"Dense": lambda: Dense(3), "BatchNorm": BatchNorm, "Residual": lambda: Residual([Dense(4)])}


def backward_kernels(layers: list[Layer], backend: Backend) -> list[str]:
    """Return the kernels of a backward pass, which must give no gradient of the inputs."""
    model = Sequential(layers, input_shape=(4,), backend=backend)
    y, backward = model.chain.forward(model.ops.asarray(np.ones((2, 4))), Context(True))
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
