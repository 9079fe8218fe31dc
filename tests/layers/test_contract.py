"""A layer of one's own that does not do what layers must is named, before anything is trained on what it gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import nnx
from nnx.errors import OptionError, ShapeError


@dataclass(eq=False, repr=False)
class Own(nnx.Layer):
    """Gives what it is told to; what `setup` says is told too."""

    forward_gives: Any = lambda x: (x, lambda dy: dy)
    features: int = 5

    def setup(self, builder, shape):
        del builder
        return (*shape[:-1], self.features)

    def forward(self, x, context):
        del context
        return self.forward_gives(x)


def train(layer: nnx.Layer, rows: int = 2, *before: nnx.Layer) -> None:
    model = nnx.Sequential([nnx.Dense(5), *before, layer, nnx.Dense(1)], backend="numpy")
    model.compile("mean_squared_error").fit(np.ones((rows, 3)), np.ones(rows))


def test_a_backward_pass_that_returns_nothing_is_named():
    with pytest.raises(
        OptionError, match=r"^layer 1, Own\(.*: backward must return the gradient by its input, got None"
    ):
        train(Own(lambda x: (x, lambda _: None)))


def test_a_backward_pass_may_return_nothing_where_nothing_before_it_learns():
    model = nnx.Sequential([Own(lambda x: (x, lambda _: None), 3), nnx.Dense(1)], backend="numpy")
    model.build((3,))
    before = model.get_weights()["1.weight"].copy()
    model.compile("mean_squared_error").fit(np.ones((2, 3)), np.ones(2))
    assert (model.get_weights()["1.weight"] != before).any()


def test_a_gradient_of_another_shape_is_named():
    with pytest.raises(ShapeError, match=r"^layer 1, .*of shape \(2, 5\), got shape \(2, 4\)"):
        train(Own(lambda x: (x, lambda dy: dy[:, :4])))


@pytest.mark.parametrize("gives", [lambda x: x, lambda x: [x, x], lambda x: (x, None), lambda _: None])
def test_a_forward_pass_without_a_backward_pass_is_named(gives):
    with pytest.raises(OptionError, match=r"^layer 1, Own\(.*forward must return .* as \(y, backward\); got "):
        train(Own(gives))  # two rows, which would pass for two values


def test_outputs_of_another_shape_than_said_are_laid_to_the_layer_that_gives_them():
    with pytest.raises(ShapeError, match=r"^layer 1, .*setup said .* \(N, 4\), but forward gave \(2, 5\)"):
        train(Own(features=4))


def test_an_inner_layer_is_named_by_its_path():
    with pytest.raises(OptionError, match=r"^layer 1\.0, Own"):
        train(nnx.Residual([Own(lambda x: x)]))


def test_a_layer_without_a_forward_pass_is_named():
    class Idle(nnx.Layer):
        """Nothing of its own."""

    with pytest.raises(OptionError, match=r"^Idle must supply forward\(x, context\)"):
        train(Idle())
