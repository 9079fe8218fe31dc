"""The forward functions compute the formulas of the textbook, in its layout, on every backend."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from scipy.special import expit

import nnx
from nnx import Backend, stepwise
from nnx.errors import UnknownNameError

FORMULAS = {
    "relu": lambda z: np.maximum(z, 0),
    "leaky_relu": lambda z: np.where(z > 0, z, 0.01 * z),
    "sigmoid": expit,
    "tanh": np.tanh,
    "softmax": lambda z: np.exp(z) / np.exp(z).sum(axis=0),
}
RANDOM = np.random.default_rng(1)
A, W, B = RANDOM.normal(size=(5, 9)), RANDOM.normal(size=(4, 5)), RANDOM.normal(size=(4, 1))


@pytest.fixture(autouse=True)
def _selected(backend: Backend) -> Iterator[None]:
    with nnx.use_backend(backend):
        yield


def host(array: Any) -> np.ndarray:
    return nnx.current_backend().to_numpy(array)


def test_affine_map_has_one_column_per_example() -> None:
    Z, (A_prev, weight, bias) = stepwise.linear_forward(A, W, B)
    np.testing.assert_allclose(host(Z), W @ A + B, rtol=1e-13, atol=1e-13)
    for cached, given in ((A_prev, A), (weight, W), (bias, B)):
        np.testing.assert_array_equal(host(cached), given)


@pytest.mark.parametrize("activation", FORMULAS)
def test_activations_follow_their_formulas(activation: str) -> None:
    Z = 3 * RANDOM.normal(size=(4, 9))
    result, cache = getattr(stepwise, activation)(Z)
    np.testing.assert_allclose(host(result), FORMULAS[activation](Z), rtol=1e-14, atol=1e-15)
    np.testing.assert_array_equal(host(cache), Z)


def test_a_layer_is_the_affine_map_and_then_the_activation() -> None:
    result, (linear_cache, Z) = stepwise.linear_activation_forward(A, W, B, "tanh")
    np.testing.assert_allclose(host(result), np.tanh(W @ A + B), rtol=1e-13)
    np.testing.assert_allclose(host(Z), W @ A + B, rtol=1e-13, atol=1e-13)
    assert len(linear_cache) == 3


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("use_batchnorm", [False, True])
def test_network_is_its_layers_with_batch_norm_behind_hidden_activations(outputs: int, use_batchnorm: bool) -> None:
    parameters = stepwise.initialize_parameters([5, 4, 3, outputs], seed=2, dtype="float64")
    expected = A
    for layer in (1, 2):
        expected = np.maximum(host(parameters[f"W{layer}"]) @ expected, 0)
        if use_batchnorm:
            centred = expected - expected.mean(axis=1, keepdims=True)
            expected = centred / np.sqrt(centred.var(axis=1, keepdims=True) + 1e-5)
    last = FORMULAS["sigmoid" if outputs == 1 else "softmax"]
    AL, caches = stepwise.L_model_forward(A, parameters, use_batchnorm)
    np.testing.assert_allclose(host(AL), last(host(parameters["W3"]) @ expected), rtol=1e-12)
    assert len(caches) == 3
    assert all(len(linear_cache) == 3 for linear_cache, _ in caches)


def test_batch_norm_gives_every_unit_mean_0_and_variance_1() -> None:
    normal = host(stepwise.apply_batchnorm(5 + 3 * RANDOM.normal(size=(4, 50))))
    np.testing.assert_allclose(normal.mean(axis=1), 0, atol=1e-14)
    np.testing.assert_allclose(normal.var(axis=1), 1, rtol=1e-5)  # epsilon is a share of 1e-6 of the variance, 9


def test_batch_norm_of_one_example_or_a_constant_unit_is_0() -> None:
    assert not host(stepwise.apply_batchnorm(A[:, :1])).any()
    assert not host(stepwise.apply_batchnorm(np.full((2, 8), 3.0))).any()


def test_integers_lists_and_any_layout_are_converted_to_the_dtype_of_the_parameters() -> None:
    parameters = stepwise.initialize_parameters([5, 4, 1], seed=1)
    pixels = RANDOM.integers(0, 255, size=(5, 9), dtype=np.uint8)
    expected, _ = stepwise.L_model_forward(pixels.astype(np.float32), parameters)
    big_endian, fortran, wide = pixels.astype(">f4"), np.asfortranarray(pixels), pixels.astype(np.float64)
    for given in (pixels, pixels.tolist(), big_endian, fortran, wide, np.repeat(pixels, 2, axis=1)[:, ::2]):
        AL, _ = stepwise.L_model_forward(given, parameters)
        assert nnx.current_backend().dtype_name(AL) == "float32"
        np.testing.assert_allclose(host(AL), host(expected), rtol=1e-6)


def test_float64_is_an_option_of_the_parameters() -> None:
    for dtype in ("float32", "float64"):
        AL, caches = stepwise.L_model_forward(A, stepwise.initialize_parameters([5, 4, 1], dtype=dtype))
        grads = stepwise.L_model_backward(AL, np.ones((1, 9)), caches)
        assert {nnx.current_backend().dtype_name(array) for array in (AL, *grads.values())} == {dtype}


def test_read_only_arrays_are_as_good_as_others() -> None:
    parameters = stepwise.initialize_parameters([5, 4, 1], seed=1)
    X = A.astype(np.float32)
    expected, _ = stepwise.L_model_forward(X, parameters)
    X.flags.writeable = False
    AL, caches = stepwise.L_model_forward(X, parameters)
    np.testing.assert_array_equal(host(AL), host(expected))
    stepwise.L_model_backward(AL, np.ones((1, 9)), caches)


@pytest.mark.parametrize("size", [1e3, 1e30])
def test_huge_inputs_saturate_without_a_warning_and_the_cost_stays_finite(size: float) -> None:
    for outputs in (1, 3):
        AL, caches = stepwise.L_model_forward(A * size, stepwise.initialize_parameters([5, 4, outputs], seed=1))
        Y = np.zeros((outputs, 9))
        Y[0] = 1
        assert np.isfinite(host(AL)).all()
        assert 0 < stepwise.compute_cost(AL, Y) < 100
        grads = stepwise.L_model_backward(AL, Y, caches)
        assert all(np.isfinite(host(gradient)).all() for gradient in grads.values())


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_cost_of_a_certain_mistake_is_finite_and_large(dtype: str) -> None:
    AL = np.array([[0.0, 1.0]], dtype)
    assert stepwise.compute_cost(AL, [[0, 1]]) < 1e-15
    too_low, too_high = (stepwise.compute_cost(AL[:, [i]], [[y]]) for i, y in ((0, 1), (1, 0)))
    before_one = float(np.nextafter(np.ones((), dtype), np.zeros((), dtype)))
    assert too_low == pytest.approx(-np.log(float(np.finfo(dtype).tiny)))
    assert too_high == pytest.approx(-np.log((1 - before_one) / 2))
    assert 16 < stepwise.compute_cost(np.array([[0.0], [1.0]], dtype), [[1], [0]]) < 710


def test_cost_is_the_mean_cross_entropy_with_half_lambda_over_m_times_the_squared_weights() -> None:
    a, y = RANDOM.uniform(0.1, 0.9, size=(1, 9)), RANDOM.integers(0, 2, size=(1, 9))
    binary = -np.mean(y * np.log(a) + (1 - y) * np.log(1 - a))
    assert stepwise.compute_cost(a, y) == pytest.approx(binary, rel=1e-14)
    shares, labels = FORMULAS["softmax"](RANDOM.normal(size=(3, 9))), RANDOM.integers(0, 3, size=9)
    several = -np.mean(np.log(shares[labels, range(9)]))
    assert stepwise.compute_cost(shares, np.eye(3)[labels].T) == pytest.approx(several, rel=1e-14)
    parameters = {"W1": W, "b1": B, "W2": RANDOM.normal(size=(1, 4)), "b2": np.ones((1, 1))}
    squares = (W**2).sum() + (parameters["W2"] ** 2).sum()
    cost = stepwise.compute_cost_with_L2_regularization(a, y, parameters, 0.7)
    assert cost == pytest.approx(binary + 0.7 / 18 * squares, rel=1e-14)


def test_unknown_activation_suggests_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'relu'"):
        stepwise.linear_activation_forward(A, W, B, "rleu")
    with pytest.raises(UnknownNameError, match="Did you mean 'tanh'"):
        stepwise.L_model_forward(A, stepwise.initialize_parameters([5, 4, 1]), activation="tahn")
