"""The update rules take the steps of the optimizers, and change nothing that they were given."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nnx
from nnx import Backend, stepwise
from nnx.errors import OptionError, ShapeError

RANDOM = np.random.default_rng(6)
SHAPES = {"W1": (4, 3), "b1": (4, 1), "W2": (1, 4), "b2": (1, 1)}
PARAMETERS = {name: RANDOM.normal(size=shape) for name, shape in SHAPES.items()}
GRADIENTS = [{f"d{name}": RANDOM.normal(size=shape) for name, shape in SHAPES.items()} for _ in range(3)]
ROUNDING = {"rtol": 1e-12, "atol": 1e-14}


def host(arrays: dict[str, Any]) -> dict[str, np.ndarray]:
    return {name: nnx.current_backend().to_numpy(value) for name, value in arrays.items()}


def check_close(ours: dict[str, Any], expected: dict[str, np.ndarray]) -> None:
    assert ours.keys() == expected.keys()
    for name, value in host(ours).items():
        np.testing.assert_allclose(value, expected[name], **ROUNDING)


def test_gradient_descent_follows_its_formula(backend: Backend) -> None:
    with nnx.use_backend(backend):
        new = stepwise.update_parameters(PARAMETERS, GRADIENTS[0], 0.3)
        check_close(new, {name: PARAMETERS[name] - 0.3 * GRADIENTS[0][f"d{name}"] for name in SHAPES})


def test_momentum_follows_the_formula_of_the_courses(backend: Backend) -> None:
    with nnx.use_backend(backend):
        parameters, v = dict(PARAMETERS), stepwise.initialize_velocity(PARAMETERS)
        expected, mean = dict(PARAMETERS), {name: np.zeros(shape) for name, shape in SHAPES.items()}
        for grads in GRADIENTS:
            parameters, v = stepwise.update_parameters_with_momentum(parameters, grads, v, 0.9, 0.3)
            mean = {name: 0.9 * mean[name] + 0.1 * grads[f"d{name}"] for name in SHAPES}
            expected = {name: expected[name] - 0.3 * mean[name] for name in SHAPES}
        check_close(parameters, expected)
        check_close(v, {f"d{name}": value for name, value in mean.items()})


def test_rmsprop_follows_its_formula(backend: Backend) -> None:
    with nnx.use_backend(backend):
        parameters, s = dict(PARAMETERS), stepwise.initialize_rmsprop(PARAMETERS)
        expected, squares = dict(PARAMETERS), {name: np.zeros(shape) for name, shape in SHAPES.items()}
        for grads in GRADIENTS:
            parameters, s = stepwise.update_parameters_with_rmsprop(parameters, grads, s, 0.01)
            squares = {name: 0.9 * squares[name] + 0.1 * grads[f"d{name}"] ** 2 for name in SHAPES}
            expected = {
                name: expected[name] - 0.01 * grads[f"d{name}"] / (np.sqrt(squares[name]) + 1e-7) for name in SHAPES
            }
        check_close(parameters, expected)
        check_close(s, {f"d{name}": value for name, value in squares.items()})


def test_adam_follows_its_formula(backend: Backend) -> None:
    with nnx.use_backend(backend):
        parameters, (v, s) = dict(PARAMETERS), stepwise.initialize_adam(PARAMETERS)
        expected = dict(PARAMETERS)
        first, second = ({name: np.zeros(shape) for name, shape in SHAPES.items()} for _ in range(2))
        for t, grads in enumerate(GRADIENTS, 1):
            parameters, v, s = stepwise.update_parameters_with_adam(parameters, grads, v, s, t, 0.01)
            for name in SHAPES:
                g = grads[f"d{name}"]
                first[name] = 0.9 * first[name] + 0.1 * g
                second[name] = 0.999 * second[name] + 0.001 * g**2
                m_hat, v_hat = first[name] / (1 - 0.9**t), second[name] / (1 - 0.999**t)
                expected[name] = expected[name] - 0.01 * m_hat / (np.sqrt(v_hat) + 1e-8)
        check_close(parameters, expected)
        check_close(v, {f"d{name}": value for name, value in first.items()})
        check_close(s, {f"d{name}": value for name, value in second.items()})


def test_adam_on_mini_batches_ends_in_the_weights_of_sequential(backend: Backend) -> None:
    X, labels = RANDOM.normal(size=(6, 50)), RANDOM.integers(0, 3, size=50)
    with nnx.use_backend(backend):
        model = nnx.Sequential([nnx.Flatten(), nnx.Dense(5, "relu"), nnx.Dense(3)], seed=2)
        model.compile("softmax_cross_entropy", nnx.Adam(0.01))
        model.fit(X.T, np.eye(3)[labels], epochs=2, batch_size=16, progress=False)
        parameters, t = stepwise.initialize_parameters([6, 5, 3], seed=2), 0
        v, s = stepwise.initialize_adam(parameters)
        for epoch in range(2):
            batches = stepwise.random_mini_batches(X.astype("float32"), np.eye(3)[labels].T, 16, 2, epoch)
            for X_batch, Y_batch in batches:
                AL, caches = stepwise.L_model_forward(X_batch, parameters)
                grads, t = stepwise.L_model_backward(AL, Y_batch, caches), t + 1
                parameters, v, s = stepwise.update_parameters_with_adam(parameters, grads, v, s, t)
        weights, ours = model.get_weights(), host(parameters)
        for layer in (1, 2):
            # steps of 0.01 by gradients that may differ in the last digit of float32
            np.testing.assert_allclose(ours[f"W{layer}"], weights[f"{layer}.weight"].T, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("layout", [np.ascontiguousarray, np.asfortranarray])
def test_what_is_given_stays_as_it_is_in_any_layout(backend: Backend, layout: Any) -> None:
    with nnx.use_backend(backend):
        given = {name: layout(value) for name, value in PARAMETERS.items()}
        grads = {name: layout(value) for name, value in GRADIENTS[0].items()}
        v, s = stepwise.initialize_adam(given)
        results = [stepwise.update_parameters_with_adam(given, grads, v, s, 1) for _ in range(2)]
        assert all(not value.any() for value in host({**v, **s}).values())
        for name, value in given.items():
            np.testing.assert_array_equal(value, PARAMETERS[name])
        check_close(results[0][0], host(results[1][0]))


def test_parameters_that_gradients_do_not_go_with_are_refused() -> None:
    with pytest.raises(OptionError, match="grads must hold dW1, the gradient of W1, got none"):
        stepwise.update_parameters(PARAMETERS, {}, 0.1)
    with pytest.raises(ShapeError, match=r"dW1 must have the shape of W1, \(4, 3\), got \(3, 4\)"):
        stepwise.update_parameters(PARAMETERS, {**GRADIENTS[0], "dW1": np.zeros((3, 4))}, 0.1)
    with pytest.raises(OptionError, match="begin with those of initialize_velocity"):
        stepwise.update_parameters_with_momentum(PARAMETERS, GRADIENTS[0], {}, 0.9, 0.1)
    with pytest.raises(OptionError, match="t must be a whole number of at least 1"):
        stepwise.update_parameters_with_adam(PARAMETERS, GRADIENTS[0], *stepwise.initialize_adam(PARAMETERS), 0)
