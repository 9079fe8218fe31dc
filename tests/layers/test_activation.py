"""Activations as layers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support.gradients import check_gradients, mount
from support.peers import TORCH, assert_close, leaf, torch_or_skip

from nnx import Activation, Backend, Dense, Sequential
from nnx.checks import ACTIVATIONS
from nnx.errors import OptionError, ShapeError, UnknownNameError


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("shape", [(4,), (2, 3)])
def test_gradients_are_the_slopes(backend: Backend, name: str, shape: tuple[int, ...]) -> None:
    check_gradients(Activation(name), shape, backend)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_forward_and_backward_agree_with_torch(backend: Backend, name: str) -> None:
    torch, random = torch_or_skip(), np.random.default_rng(2)
    x, dy = 3 * random.normal(size=(5, 6)), random.normal(size=(5, 6))
    y, dx = mount(Activation(name), (6,), backend).run(x, dy)
    inputs = leaf(x)
    outputs = TORCH[name](torch, inputs)
    outputs.backward(torch.tensor(dy))
    assert_close(y, outputs)
    assert_close(dx, inputs.grad)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_a_layer_of_its_own_equals_the_activation_of_dense(backend: Backend, name: str) -> None:
    one = Sequential([Dense(5, activation=name)], dtype="float64", input_shape=(3,), backend=backend)
    two = Sequential([Dense(5), Activation(name)], dtype="float64", input_shape=(3,), backend=backend)
    x = np.random.default_rng(3).normal(size=(4, 3))
    np.testing.assert_allclose(one.predict(x), two.predict(x), rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize(
    "make", [Activation, lambda name, alpha: Dense(2, name, alpha=alpha)], ids=["alone", "Dense"]
)
def test_alpha_is_the_slope_of_leaky_relu_and_the_scale_of_elu(backend: Backend, make: Any) -> None:
    x = np.array([[-2.0, 3.0]])
    for name, alpha, expected in (("leaky_relu", 0.3, -0.6), ("elu", 1.7, 1.7 * np.expm1(-2.0))):
        bench = mount(make(name, alpha=alpha), (2,), backend)
        if isinstance(bench.layer, Dense):
            bench.set("weight", np.eye(2))
            bench.set("bias", np.zeros(2))
        np.testing.assert_allclose(bench.run(x)[0], [[expected, 3.0]], rtol=1e-14)


def test_softmax_gives_distributions_even_for_huge_inputs(backend: Backend) -> None:
    y, _ = mount(Activation("softmax"), (3,), backend).run(np.array([[1e4, -1e4, 0.0], [-700.0, -701.0, -702.0]]))
    np.testing.assert_allclose(y.sum(axis=1), 1, rtol=1e-14)
    assert y[0, 0] == 1


def test_softmax_without_a_feature_axis_is_refused_instead_of_mixing_the_examples() -> None:
    with pytest.raises(ShapeError, match=r"'softmax'\) expects inputs of at least one feature"):
        Sequential([Activation("softmax")], input_shape=(), backend="generic:numpy")


def test_unknown_names_are_refused_with_the_nearest_one() -> None:
    with pytest.raises(
        UnknownNameError, match=r"Unknown activation 'sigmod'. Did you mean 'sigmoid'\? Known: 'elu', "
    ):
        Activation("sigmod")


def test_alpha_is_refused_where_nothing_reads_it() -> None:
    with pytest.raises(OptionError, match="alpha is an option of leaky_relu and elu; 'tanh' takes none"):
        Activation("tanh", alpha=1.0)


def test_a_name_in_capitals_is_told_how_it_is_written() -> None:
    with pytest.raises(UnknownNameError, match=r"Unknown activation 'RELU'. Did you mean 'relu'\?"):
        Activation("RELU")
