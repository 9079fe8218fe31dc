"""The backward functions give the slopes of the cost, and the gradients of the layers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import nnx
from nnx import Backend, stepwise
from nnx.stepwise.forward import ACTIVATIONS

RANDOM = np.random.default_rng(3)
X = RANDOM.normal(size=(5, 8))
ANSWERS = {1: RANDOM.integers(0, 2, size=(1, 8)).astype(float), 3: np.eye(3)[RANDOM.integers(0, 3, size=8)].T}
HIDDEN = ("relu", "leaky_relu", "sigmoid", "tanh")
STEP = 1e-5
# central differences in float64: an error of STEP^2 = 1e-10 in the formula, and of 1e-16 / STEP = 1e-11 by rounding
SLOPE = {"rtol": 1e-7, "atol": 1e-9}
# sums of some ten products in another order, in float64
ROUNDING = {"rtol": 1e-11, "atol": 1e-14}
# the same, read off W - (W - dW), which adds the rounding of a W of size 1 or so
AS_A_STEP = {"rtol": 1e-11, "atol": 2e-14}

everywhere = pytest.mark.parametrize(
    ("outputs", "use_batchnorm", "lambd"), [(1, False, 0.0), (3, False, 0.7), (1, True, 0.7), (3, True, 0.0)]
)


@pytest.fixture(autouse=True)
def _selected(backend: Backend) -> Iterator[None]:
    with nnx.use_backend(backend):
        yield


def host(array: Any) -> np.ndarray:
    return nnx.current_backend().to_numpy(array)


def parameters_for(outputs: int) -> dict[str, np.ndarray]:
    drawn = stepwise.initialize_parameters([5, 4, 6, outputs], seed=4, dtype="float64")
    return {name: host(value) + 0.1 * RANDOM.normal(size=value.shape) for name, value in drawn.items()}


@everywhere
@pytest.mark.parametrize("activation", HIDDEN)
def test_gradients_of_a_network_are_the_slopes_of_its_cost(
    activation: str, outputs: int, use_batchnorm: bool, lambd: float
) -> None:
    parameters, Y = parameters_for(outputs), ANSWERS[outputs]

    def cost(moved: dict[str, np.ndarray]) -> float:
        AL, _ = stepwise.L_model_forward(X, moved, use_batchnorm, activation)
        return stepwise.compute_cost_with_L2_regularization(AL, Y, moved, lambd)

    AL, caches = stepwise.L_model_forward(X, parameters, use_batchnorm, activation)
    grads = stepwise.L_model_backward(AL, Y, caches, lambd)
    for name, value in parameters.items():
        direction = RANDOM.normal(size=value.shape)
        above, below = ({**parameters, name: value + sign * STEP * direction} for sign in (1, -1))
        slope = (cost(above) - cost(below)) / (2 * STEP)
        np.testing.assert_allclose((host(grads[f"d{name}"]) * direction).sum(), slope, **SLOPE)


@everywhere
@pytest.mark.parametrize("activation", HIDDEN)
def test_gradients_agree_with_those_of_the_layers(
    activation: str, outputs: int, use_batchnorm: bool, lambd: float
) -> None:
    parameters, Y = parameters_for(outputs), ANSWERS[outputs]
    layers: list[nnx.Layer] = []
    places = []  # of the Dense layers in the model
    for units in (4, 6):
        places.append(len(layers))
        layers += [nnx.Dense(units, activation), *([nnx.BatchNorm()] if use_batchnorm else [])]
    places.append(len(layers))
    model = nnx.Sequential([*layers, nnx.Dense(outputs)], dtype="float64", input_shape=(5,))
    weights = {}
    for layer, place in enumerate(places, 1):
        weights[f"{place}.weight"] = parameters[f"W{layer}"].T
        weights[f"{place}.bias"] = parameters[f"b{layer}"][:, 0]
    model.set_weights(weights)
    loss = "sigmoid_cross_entropy" if outputs == 1 else "softmax_cross_entropy"
    model.compile(loss, nnx.SGD(1.0), l2=lambd)  # a step of rate 1 is the gradient
    measured = model.fit(X.T, Y.T, batch_size="full", progress=False)["loss"][0]
    AL, caches = stepwise.L_model_forward(X, parameters, use_batchnorm, activation)
    grads = stepwise.L_model_backward(AL, Y, caches, lambd)
    cost = stepwise.compute_cost_with_L2_regularization(AL, Y, parameters, lambd)
    assert cost == pytest.approx(measured, rel=1e-13)
    after = model.get_weights()
    for layer, place in enumerate(places, 1):
        for ours, name in ((f"W{layer}", f"{place}.weight"), (f"b{layer}", f"{place}.bias")):
            step = parameters[ours] - after[name].reshape(parameters[ours].shape[::-1]).T
            np.testing.assert_allclose(host(grads[f"d{ours}"]), step, **AS_A_STEP)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_backward_of_an_activation_is_the_slope_of_its_forward(activation: str) -> None:
    forward, backward = getattr(stepwise, activation), getattr(stepwise, f"{activation}_backward")
    Z, dA, direction = (RANDOM.normal(size=(4, 7)) for _ in range(3))
    above, below = (host(forward(Z + sign * STEP * direction)[0]) for sign in (1, -1))
    dZ = host(backward(dA, forward(Z)[1]))
    np.testing.assert_allclose((dZ * direction).sum(), (dA * (above - below)).sum() / (2 * STEP), **SLOPE)


def test_backward_of_batch_norm_is_the_slope_of_its_forward() -> None:
    A, dNA, direction = (RANDOM.normal(size=(4, 7)) for _ in range(3))
    above, below = (host(stepwise.apply_batchnorm(A + sign * STEP * direction)) for sign in (1, -1))
    dA = host(stepwise.batchnorm_backward(dNA, A))
    np.testing.assert_allclose((dA * direction).sum(), (dNA * (above - below)).sum() / (2 * STEP), **SLOPE)


def test_backward_of_the_affine_map_divides_by_the_examples_in_dw_and_db_alone() -> None:
    A, W, b, dZ = (RANDOM.normal(size=shape) for shape in ((5, 8), (4, 5), (4, 1), (4, 8)))
    _, cache = stepwise.linear_forward(A, W, b)
    dA, dW, db = (host(gradient) for gradient in stepwise.linear_backward(dZ, cache))
    np.testing.assert_allclose(dA, W.T @ dZ, **ROUNDING)
    np.testing.assert_allclose(dW, dZ @ A.T / 8, **ROUNDING)
    np.testing.assert_allclose(db, dZ.sum(axis=1, keepdims=True) / 8, **ROUNDING)


def test_gradients_of_parts_of_a_batch_add_up_to_those_of_the_whole() -> None:
    A, W, b, dZ = (RANDOM.normal(size=shape) for shape in ((5, 8), (4, 5), (4, 1), (4, 8)))
    _, cache = stepwise.linear_forward(A, W, b)
    _, whole, _ = stepwise.linear_backward(dZ, cache)
    parts = 0
    for part in (slice(0, 5), slice(5, 8)):
        _, cache = stepwise.linear_forward(A[:, part], W, b)
        nothing, dW, _ = stepwise.linear_backward(dZ[:, part], cache, m=8, wants_dA=False)
        assert nothing is None
        parts = parts + host(dW)
    np.testing.assert_allclose(parts, host(whole), **ROUNDING)


@pytest.mark.parametrize("outputs", [1, 3])
def test_the_way_of_the_courses_through_dal_comes_to_the_same(outputs: int) -> None:
    parameters, Y = parameters_for(outputs), ANSWERS[outputs]
    AL, caches = stepwise.L_model_forward(X, parameters)
    grads = stepwise.L_model_backward(AL, Y, caches)
    out = host(AL)
    dA = -Y / out + (1 - Y) / (1 - out) if outputs == 1 else -Y / out
    for layer, activation in ((3, "sigmoid" if outputs == 1 else "softmax"), (2, "relu"), (1, "relu")):
        dA, dW, db = stepwise.linear_activation_backward(dA, caches[layer - 1], activation)
        np.testing.assert_allclose(host(dW), host(grads[f"dW{layer}"]), **ROUNDING)
        np.testing.assert_allclose(host(db), host(grads[f"db{layer}"]), **ROUNDING)
        if layer > 1:
            np.testing.assert_allclose(host(dA) / 8, host(grads[f"dA{layer - 1}"]), **ROUNDING)


def test_a_single_example_has_gradients() -> None:
    parameters = parameters_for(3)
    AL, caches = stepwise.L_model_forward(X[:, :1], parameters)
    grads = stepwise.L_model_backward(AL, ANSWERS[3][:, :1], caches)
    np.testing.assert_allclose(host(grads["db3"]), host(AL) - ANSWERS[3][:, :1], **ROUNDING)
