"""Dropout step by step drops what the layer drops, and lets the gradient through where it let numbers through."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nnx
from nnx import Backend, stepwise
from nnx.errors import OptionError, ShapeError

A = np.random.default_rng(13).normal(size=(6, 40))


@pytest.mark.parametrize("iterations", [1, 3])
def test_training_with_it_goes_through_the_numbers_of_sequential(backend: Backend, iterations: int) -> None:
    X, Y = A.astype("float32"), (A[:1] > 0).astype("float32")
    with nnx.use_backend(backend):
        layers = [nnx.Flatten(), nnx.Dense(5, "relu"), nnx.Dropout(0.25), nnx.Dense(1)]
        model = nnx.Sequential(layers, seed=4).compile("sigmoid_cross_entropy", nnx.SGD(0.5))
        model.build((6,))
        names = {"W1": "1.weight", "b1": "1.bias", "W2": "3.weight", "b2": "3.bias"}
        held = model.get_weights()
        parameters = {name: held[path].reshape(-1, held[path].shape[-1]).T for name, path in names.items()}
        for iteration in range(iterations):
            parameters = step(X, Y, parameters, iteration)
        model.fit(X.T, Y.T, epochs=iterations, batch_size="full", progress=False)
        trained = model.get_weights()
        for name, path in names.items():
            ours = backend.to_numpy(parameters[name]).T.reshape(trained[path].shape)
            # float32: the factor of the mask is multiplied in another place than the kernel does it
            np.testing.assert_allclose(ours, trained[path], rtol=1e-5, atol=1e-6)


def step(X: Any, Y: Any, parameters: Any, iteration: int) -> Any:
    A1, cache1 = stepwise.linear_activation_forward(X, parameters["W1"], parameters["b1"], "relu")
    left, D = stepwise.apply_dropout(A1, 0.75, seed=4, iteration=iteration, layer=2)
    A2, cache2 = stepwise.linear_activation_forward(left, parameters["W2"], parameters["b2"], "sigmoid")
    dleft, dW2, db2 = stepwise.linear_backward(A2 - nnx.current_backend().asarray(Y, "float32"), cache2[0])
    dA1 = stepwise.dropout_backward(dleft, D)
    _, dW1, db1 = stepwise.linear_activation_backward(dA1, cache1, "relu", wants_dA=False)
    grads = {"dW1": dW1, "db1": db1, "dW2": dW2, "db2": db2}
    return stepwise.update_parameters(parameters, grads, learning_rate=0.5)


def test_units_are_zero_or_scaled_so_that_the_mean_stays(backend: Backend) -> None:
    with nnx.use_backend(backend):
        ones = np.ones((100, 200))
        left, D = (backend.to_numpy(found) for found in stepwise.apply_dropout(ones, 0.8))
        np.testing.assert_array_equal(left, D)
        kept = D[D != 0]
        np.testing.assert_allclose(kept, 1 / 0.8, rtol=1e-4)  # 0.8 is rounded to a multiple of 2^-16
        # 20,000 draws: five standard deviations of the share kept, sqrt(0.8 0.2 / 20000) each
        assert kept.size / D.size == pytest.approx(0.8, abs=5 * 0.0029)


def test_every_layer_iteration_and_seed_drops_others() -> None:
    masks = [
        stepwise.apply_dropout(A, 0.5, **changed)[1].tobytes()
        for changed in ({}, {"seed": 1}, {"iteration": 1}, {"layer": 2})
    ]
    assert len(set(masks)) == 4
    assert stepwise.apply_dropout(A, 0.5)[1].tobytes() == masks[0]


def test_everything_is_kept_where_nothing_is_to_be_dropped(backend: Backend) -> None:
    with nnx.use_backend(backend):
        left, D = stepwise.apply_dropout(A, 1.0)
        np.testing.assert_array_equal(backend.to_numpy(left), A)
        np.testing.assert_array_equal(backend.to_numpy(D), np.ones_like(A))


def test_what_does_not_go_together_is_refused() -> None:
    for share in (0.0, 1.5, -0.1, "half", True):
        with pytest.raises(OptionError, match=r"keep_prob must be a number in \(0, 1\]"):
            stepwise.apply_dropout(A, share)  # type: ignore[arg-type]
    for name, value in (("iteration", -1), ("layer", 1.5), ("seed", -1)):
        with pytest.raises(OptionError, match=f"{name} must be"):
            stepwise.apply_dropout(A, 0.5, **{name: value})  # type: ignore[arg-type]
    with pytest.raises(ShapeError, match=r"dDA must have shape \(6, 40\)"):
        stepwise.dropout_backward(A[:, :3], stepwise.apply_dropout(A)[1])
