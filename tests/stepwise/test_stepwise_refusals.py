"""What does not go together is refused in one sentence that says what to do."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest

import nnx
from nnx import Backend, stepwise
from nnx.errors import BackendError, DataError, DtypeError, OptionError, ShapeError
from nnx.stepwise.forward import ACTIVATIONS

RANDOM = np.random.default_rng(9)
X, LABELS = RANDOM.normal(size=(5, 7)), RANDOM.integers(0, 3, size=7)
ONE_HOT, BINARY = np.eye(3)[LABELS].T, (LABELS == 0)[None]


def train(X: Any, Y: Any, outputs: int) -> Any:
    return stepwise.L_layer_model(X, Y, [5, 4, outputs], num_iterations=1)


@pytest.mark.parametrize("labels", [LABELS, LABELS[None], LABELS[:, None], LABELS.tolist()])
def test_labels_in_place_of_one_hot_columns_are_told_how_to_become_them(labels: Any) -> None:
    with pytest.raises(ShapeError, match=r"Y must have shape \(3, 7\), one row per class.*np\.eye\(3\)") as told:
        train(X, labels, 3)
    # the hint is code to be copied: it must do what it says
    hint = str(told.value).split("labels: ")[1].split(" makes")[0]
    np.testing.assert_array_equal(eval(hint, {"np": np, "Y": labels}), ONE_HOT)


def test_labels_of_several_classes_for_one_output_are_refused() -> None:
    with pytest.raises(
        DataError, match=r"Y must hold numbers from 0 to 1, column \d holds 2\. With several classes"
    ):
        train(X, LABELS[None], 1)


@pytest.mark.parametrize(
    ("Y", "outputs", "words"),
    [
        (ONE_HOT.T, 3, r"examples x classes: pass Y\.T"),
        (BINARY[0], 1, r"Pass Y\.reshape\(1, -1\)"),
        (ONE_HOT[:, :6], 3, r"must have shape \(3, 7\)"),
    ],
)
def test_answers_of_another_shape_are_refused(Y: Any, outputs: int, words: str) -> None:
    with pytest.raises(ShapeError, match=words):
        train(X, Y, outputs)
    AL, caches = stepwise.L_model_forward(X, stepwise.initialize_parameters([5, 4, outputs]))
    for function in (lambda: stepwise.compute_cost(AL, Y), lambda: stepwise.L_model_backward(AL, Y, caches)):
        with pytest.raises(ShapeError, match=words):
            function()


def test_columns_that_are_no_distribution_are_refused() -> None:
    with pytest.raises(DataError, match="column 0 sums to 3"):
        train(X, np.ones((3, 7)), 3)
    with pytest.raises(DataError, match="column 2 holds nan"):
        train(X, np.where(np.arange(7) == 2, np.nan, BINARY), 1)


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        (X.T, r"X must have shape \(5, examples\).*got \(7, 5\)\. These look like examples x features: pass X\.T"),
        (X[:4], r"X must have shape \(5, examples\), one column per example, got \(4, 7\)\.$"),
        (X[:, 0], r"got \(5,\)\. X\.reshape\(-1, 1\) has one column per example"),
        (np.zeros((7, 8, 8, 1)), r"got \(7, 8, 8, 1\)\. X\.reshape\(m, -1\)\.T, for m examples"),
    ],
)
def test_inputs_that_lie_otherwise_are_told_how_to_lie(inputs: Any, words: str) -> None:
    for function in (stepwise.L_model_forward, lambda X, _: train(X, BINARY, 1)):
        with pytest.raises(ShapeError, match=words):
            function(inputs, stepwise.initialize_parameters([5, 4, 1]))


def test_an_empty_batch_is_refused_everywhere() -> None:
    parameters, none = stepwise.initialize_parameters([5, 4, 1]), X[:, :0]
    for function in (
        lambda: train(none, BINARY[:, :0], 1),
        lambda: stepwise.L_model_forward(none, parameters),
        lambda: stepwise.apply_batchnorm(none),
        lambda: stepwise.compute_cost(none[:1], none[:1]),
        lambda: stepwise.random_mini_batches(none, none),
    ):
        with pytest.raises(DataError, match="holds no examples"):
            function()


def test_what_is_no_number_is_refused() -> None:
    for given, error, words in (
        (np.array([["a"]]), DtypeError, "must hold real numbers"),
        (np.ma.masked_array([[1.0]], [[True]]), DataError, "masked array"),
        ([[1.0], [1.0, 2.0]], ShapeError, "rectangular"),
        (np.array([[np.nan]]).astype(object), DtypeError, "must hold real numbers"),
        (np.array([[1e300]]).tolist(), DataError, "too large for float32"),
    ):
        with pytest.raises(error, match=words):
            stepwise.relu(given)


def test_arrays_of_another_backend_are_refused_by_name() -> None:
    foreign = nnx.get_backend("generic:array_api_strict").asarray(X, "float32")
    parameters = stepwise.initialize_parameters([5, 4, 1])
    with pytest.raises(BackendError, match=r"X is an array of the backend 'generic:array_api_strict'"):
        stepwise.L_model_forward(foreign, parameters)
    with nnx.use_backend("generic:array_api_strict"):
        AL, caches = stepwise.L_model_forward(X, parameters)  # NumPy's arrays come in through every door
    with pytest.raises(BackendError, match="is an array of the backend"):
        stepwise.L_model_backward(AL, BINARY, caches)


@pytest.mark.parametrize("examples", [1, 6, 8])
def test_gradients_of_another_number_of_examples_are_refused(backend: Backend, examples: int) -> None:
    """A compiled kernel would read beyond the shorter of the two arrays."""
    with nnx.use_backend(backend):
        AL, caches = stepwise.L_model_forward(X, stepwise.initialize_parameters([5, 4, 3]))
        linear_cache, Z = caches[0]
        other = np.ones((4, examples))
        for function in (
            lambda: stepwise.linear_backward(other, linear_cache),
            lambda: stepwise.linear_backward(other, linear_cache, m=examples, wants_dA=False),
            lambda: stepwise.linear_activation_backward(other, caches[0], "relu"),
            lambda: stepwise.batchnorm_backward(other, Z),
            *(functools.partial(getattr(stepwise, f"{name}_backward"), other, Z) for name in ACTIVATIONS),
            lambda: stepwise.L_model_backward(np.ones((3, examples)), ONE_HOT, caches),
        ):
            with pytest.raises(ShapeError, match=rf"must have shape \(\d, 7\), .* got \(\d, {examples}\)"):
                function()
        stepwise.L_model_backward(AL, ONE_HOT, caches)


@pytest.mark.parametrize("dims", [[5], 5, "541", [5, 0, 1], [5, 4.5, 1], []])
def test_dimensions_that_make_no_network_are_refused(dims: Any) -> None:
    with pytest.raises(OptionError, match="layers_dims"):
        stepwise.initialize_parameters(dims)


def test_parameters_and_caches_that_are_not_whole_are_refused() -> None:
    parameters = stepwise.initialize_parameters([5, 4, 1])
    without = {name: value for name, value in parameters.items() if name != "b1"}
    for given in (without, {}, {**parameters, "W4": X, "b4": X}):
        with pytest.raises(OptionError, match="parameters must hold W1, b1, W2, b2"):
            stepwise.L_model_forward(X, given)
    AL, caches = stepwise.L_model_forward(X, parameters)
    with pytest.raises(OptionError, match="caches must be what L_model_forward returned, got a list"):
        stepwise.L_model_backward(AL, BINARY, list(caches))
    with pytest.raises(ShapeError, match=r"A must have shape \(4, examples\)"):
        stepwise.linear_forward(X, parameters["W2"], parameters["b2"])
    with pytest.raises(ShapeError, match=r"b must have shape \(4, 1\), one per unit, got \(4,\)"):
        stepwise.linear_forward(X, parameters["W1"], np.zeros(4))
    with pytest.raises(OptionError, match="m must be a whole number"):
        stepwise.linear_backward(AL, caches[1][0], m=0)
    with pytest.raises(OptionError, match="dtype must be"):
        stepwise.initialize_parameters([5, 1], dtype="f4")
    with pytest.raises(OptionError, match="epsilon must be a number"):
        stepwise.apply_batchnorm(X, 0.0)
    with pytest.raises(OptionError, match="epsilon must be a number"):
        stepwise.batchnorm_backward(X, X, 0.0)
