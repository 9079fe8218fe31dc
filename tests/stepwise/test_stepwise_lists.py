"""Nested lists come in through the door of every function, and mean what arrays of the same numbers mean."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import nnx
from nnx import Backend, stepwise
from nnx.stepwise import logistic

RANDOM = np.random.default_rng(6)
X, Z, SLOPES = (RANDOM.normal(size=shape).astype("float32") for shape in ((5, 9), (4, 9), (4, 9)))
Y = np.eye(3, dtype="float32")[RANDOM.integers(0, 3, size=9)].T
W, b, w = (RANDOM.normal(size=shape).astype("float32") for shape in ((4, 5), (4, 1), (5, 1)))
NETWORK = {"W1": W, "b1": b, "W2": RANDOM.normal(size=(3, 4)).astype("float32"), "b2": np.zeros((3, 1), "float32")}
GRADS = {f"d{name}": value + 1 for name, value in NETWORK.items()}
MOMENTS = {name: value**2 for name, value in GRADS.items()}
with nnx.use_backend("numpy"):
    AL = stepwise.L_model_forward(X, NETWORK)[0]

CALLS: dict[str, Callable[..., Any]] = {
    "linear_forward": lambda take: stepwise.linear_forward(take(X), take(W), take(b))[0],
    "linear_backward": lambda take: stepwise.linear_backward(take(SLOPES), (take(X), take(W), take(b))),
    "relu": lambda take: stepwise.relu(take(Z))[0],
    "relu_backward": lambda take: stepwise.relu_backward(take(SLOPES), take(Z)),
    "softmax_backward": lambda take: stepwise.softmax_backward(take(SLOPES), take(Z)),
    "apply_batchnorm": lambda take: stepwise.apply_batchnorm(take(Z)),
    "batchnorm_backward": lambda take: stepwise.batchnorm_backward(take(SLOPES), take(Z)),
    "L_model_forward": lambda take: stepwise.L_model_forward(take(X), take(NETWORK))[0],
    "L_model_backward": lambda take: stepwise.L_model_backward(
        take(AL), take(Y), stepwise.L_model_forward(take(X), take(NETWORK))[1]
    ),
    "compute_cost": lambda take: stepwise.compute_cost(take(AL), take(Y)),
    "compute_cost_with_L2": lambda take: stepwise.compute_cost_with_L2_regularization(
        take(AL), take(Y), take(NETWORK), 0.7
    ),
    "random_mini_batches": lambda take: stepwise.random_mini_batches(take(X), take(Y), 4),
    "update_parameters": lambda take: stepwise.update_parameters(take(NETWORK), take(GRADS), 0.1),
    "initialize_adam": lambda take: stepwise.initialize_adam(take(NETWORK)),
    "momentum": lambda take: stepwise.update_parameters_with_momentum(
        take(NETWORK), take(GRADS), take(MOMENTS), 0.9, 0.1
    ),
    "rmsprop": lambda take: stepwise.update_parameters_with_rmsprop(take(NETWORK), take(GRADS), take(MOMENTS), 0.1),
    "adam": lambda take: stepwise.update_parameters_with_adam(
        take(NETWORK), take(GRADS), take(MOMENTS), take(MOMENTS), 1
    ),
    "L_layer_model": lambda take: stepwise.L_layer_model(take(X), take(Y), [5, 4, 3], num_iterations=2),
    "predict": lambda take: stepwise.predict(take(X), take(Y), take(NETWORK)),
    "logistic.propagate": lambda take: logistic.propagate(take(w), 0.5, take(X), take(Y[:1])),
    "logistic.predict": lambda take: logistic.predict(take(w), 0.5, take(X)),
    "logistic.model": lambda take: logistic.model(take(X), take(Y[:1]), take(X), take(Y[:1]), 2),
}


@pytest.fixture(autouse=True)
def _selected(backend: Backend) -> Iterator[None]:
    with nnx.use_backend(backend):
        yield


def as_lists(given: Any) -> Any:
    return {name: value.tolist() for name, value in given.items()} if isinstance(given, dict) else given.tolist()


def numbers(result: Any) -> Iterator[np.ndarray]:
    """Yield every array and number in a result."""
    if isinstance(result, dict | tuple | list):
        for part in result.values() if isinstance(result, dict) else result:
            yield from numbers(part)
    elif isinstance(result, float | int):
        yield np.array(result)
    else:
        yield nnx.current_backend().to_numpy(result)


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_lists_mean_what_arrays_mean(call: Callable[..., Any]) -> None:
    given, expected = list(numbers(call(as_lists))), list(numbers(call(lambda value: value)))
    assert given
    for ours, theirs in zip(given, expected, strict=True):
        # the same numbers lie otherwise in memory, so that sums may be taken in another order: float32, a few terms
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)
