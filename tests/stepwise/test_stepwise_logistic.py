"""Logistic regression as four functions is a network of one neuron."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.special import expit

import nnx
from nnx import Backend
from nnx.errors import DivergenceError, OptionError, ShapeError
from nnx.stepwise import logistic

RANDOM = np.random.default_rng(8)
X = RANDOM.normal(size=(4, 60))
Y = (RANDOM.normal(size=60) + X[0] - X[1] > 0)[None].astype(int)
ON_CPU = [name for name in ("numpy", "numba") if nnx.registry.describe(name).available]


def sequential(epochs: int, rate: float, dtype: str) -> tuple[nnx.Sequential, Any]:
    model = nnx.Sequential([nnx.Flatten(), nnx.Dense(1, init="zeros")], dtype=dtype)
    model.compile("sigmoid_cross_entropy", nnx.SGD(rate))
    return model, model.fit(X.T, Y.T, epochs=epochs, batch_size="full", progress=False)


def test_propagate_follows_its_formulas(backend: Backend) -> None:
    w, b = RANDOM.normal(size=(4, 1)), 0.3
    with nnx.use_backend(backend):
        grads, cost = logistic.propagate(w, b, X, Y)
        A = expit(w.T @ X + b)
        np.testing.assert_allclose(backend.to_numpy(grads["dw"]), X @ (A - Y).T / 60, rtol=1e-12, atol=1e-14)
        assert grads["db"] == pytest.approx((A - Y).mean(), rel=1e-12)
        assert cost == pytest.approx(-np.mean(Y * np.log(A) + (1 - Y) * np.log(1 - A)), rel=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("engine", ON_CPU)
def test_optimize_goes_through_the_numbers_of_sequential(engine: str, dtype: str) -> None:
    with nnx.use_backend(engine):
        model, history = sequential(201, 0.5, dtype)
        line, _, costs = logistic.optimize(*logistic.initialize_with_zeros(4, dtype), X, Y, 201, 0.5)
        weights = model.get_weights()
        np.testing.assert_array_equal(line["w"], weights["1.weight"])
        assert line["b"] == weights["1.bias"][0]
        # the costs of the examples are added in the dtype there, and in float64 here
        np.testing.assert_allclose(costs, history["loss"][::100], rtol=1e-6)


def test_model_trains_from_zeros_and_reports_both_parts(backend: Backend) -> None:
    with nnx.use_backend(backend):
        report = logistic.model(X[:, :40], Y[:, :40], X[:, 40:], Y[:, 40:], 101, 0.5)
        assert report["costs"][0] == pytest.approx(np.log(2))
        assert report["costs"][1] < 0.6
        for part, columns in (("train", slice(0, 40)), ("test", slice(40, 60))):
            guesses = backend.to_numpy(report[f"Y_prediction_{part}"])
            np.testing.assert_array_equal(
                guesses, backend.to_numpy(logistic.predict(report["w"], report["b"], X[:, columns]))
            )
            assert guesses.shape == Y[:, columns].shape
            assert report[f"{part}_accuracy"] == (guesses == Y[:, columns]).mean() > 0.6
        assert (report["num_iterations"], report["learning_rate"]) == (101, 0.5)


def test_what_does_not_go_together_is_refused() -> None:
    w = np.zeros((4, 1))
    with pytest.raises(ShapeError, match=r"w must have shape \(features, 1\), got \(4,\)"):
        logistic.propagate(w[:, 0], 0.0, X, Y)
    with pytest.raises(OptionError, match="b must be a number, got 'x'"):
        logistic.propagate(w, "x", X, Y)
    with pytest.raises(ShapeError, match=r"pass X\.T"):
        logistic.predict(w, 0.0, X.T)
    with pytest.raises(ShapeError, match=r"Pass Y\.reshape\(1, -1\)"):
        logistic.model(X, Y[0], X, Y, 1)
    with pytest.raises(OptionError, match="num_iterations must be a whole number of at least 1"):
        logistic.optimize(w, 0.0, X, Y, 0)
    with pytest.raises(DivergenceError, match="lower the learning rate"):
        logistic.optimize(np.zeros((4, 1), "float32"), 0.0, X * 1e30, Y, 101, 1e30)
