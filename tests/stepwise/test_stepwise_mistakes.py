"""What is often mistaken in writing networks step by step is refused, and the sentence says what to do."""

from __future__ import annotations

import inspect
import pydoc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import nnx
from nnx import Backend, stepwise
from nnx.errors import DataError, OptionError, ShapeError, UnknownNameError
from nnx.stepwise import logistic

RANDOM = np.random.default_rng(12)
X = RANDOM.normal(size=(5, 7))
Y = (X[:1] > 0).astype("float32")
ONE_HOT = np.eye(3, dtype="float32")[RANDOM.integers(0, 3, size=7)].T


@pytest.mark.parametrize(("outputs", "answers"), [(1, Y), (3, ONE_HOT)])
def test_answers_and_outputs_that_changed_places_would_make_no_gradient(
    backend: Backend, outputs: int, answers: Any
) -> None:
    with nnx.use_backend(backend):
        parameters = stepwise.initialize_parameters([5, 4, outputs])
        AL, caches = stepwise.L_model_forward(X, parameters)
        with pytest.raises(DataError, match=r"^AL must be .*AL, Y, caches\)\. AL and Y have changed places\.$"):
            stepwise.L_model_backward(answers, AL, caches)


def test_outputs_of_other_parameters_are_refused_and_copies_are_not(backend: Backend) -> None:
    with nnx.use_backend(backend):
        AL, caches = stepwise.L_model_forward(X, stepwise.initialize_parameters([5, 4, 1], seed=1))
        other, _ = stepwise.L_model_forward(X, stepwise.initialize_parameters([5, 4, 1], seed=2))
        with pytest.raises(DataError, match=r"Pass the AL that came with them\.$"):
            stepwise.L_model_backward(other, Y, caches)
        expected, host = stepwise.L_model_backward(AL, Y, caches)["dW1"], backend.to_numpy(AL)
        for same in (host, host.tolist(), host.astype("float64"), np.clip(host, 1e-7, 1 - 1e-7)):
            found = stepwise.L_model_backward(same, Y, caches)["dW1"]
            np.testing.assert_array_equal(backend.to_numpy(found), backend.to_numpy(expected))


@pytest.mark.parametrize("word", ["no", "False", 0, 1, None])
def test_words_and_numbers_are_no_flags(word: Any) -> None:
    """A text such as "False" counts as true in Python."""
    parameters = stepwise.initialize_parameters([5, 4, 1])
    AL, caches = stepwise.L_model_forward(X, parameters)
    calls: list[tuple[str, Callable[[], Any]]] = [
        ("use_batchnorm", lambda: stepwise.L_model_forward(X, parameters, word)),
        ("use_batchnorm", lambda: stepwise.predict(X, Y, parameters, word)),
        ("use_batchnorm", lambda: stepwise.L_layer_model(X, Y, [5, 1], num_iterations=1, use_batchnorm=word)),
        ("print_cost", lambda: stepwise.L_layer_model(X, Y, [5, 1], num_iterations=1, print_cost=word)),
        ("print_cost", lambda: logistic.optimize(np.zeros((5, 1)), 0.0, X, Y, 1, print_cost=word)),
        ("print_cost", lambda: logistic.model(X, Y, X, Y, 1, print_cost=word)),
        ("wants_dA", lambda: stepwise.linear_backward(AL, caches[1][0], wants_dA=word)),
    ]
    for name, call in calls:
        with pytest.raises(OptionError, match=f"^{name} must be True or False, got {word!r}"):
            call()


def test_an_activation_that_is_no_name_is_unknown() -> None:
    for given in (["relu"], stepwise.relu):
        with pytest.raises(UnknownNameError, match="Unknown activation"):
            stepwise.L_model_forward(X, stepwise.initialize_parameters([5, 4, 1]), activation=given)  # type: ignore[arg-type]


def test_what_a_forward_function_returned_is_taken_apart_first() -> None:
    parameters = stepwise.initialize_parameters([5, 4, 1])
    for pair in (stepwise.L_model_forward(X, parameters), stepwise.sigmoid(X[:1])):
        with pytest.raises(
            ShapeError, match=r"^AL must be one array, got a tuple of 2 parts.*: pass .*, AL\[0\]\.$"
        ):
            stepwise.compute_cost(pair, Y)
    with pytest.raises(ShapeError, match=r"^A must be one array, got a tuple of 2 parts.*A\[0\]\.$"):
        stepwise.linear_forward(stepwise.relu(X), parameters["W1"], parameters["b1"])
    trained = stepwise.L_layer_model(X, Y, [5, 4, 1], num_iterations=1)
    with pytest.raises(
        OptionError, match=r"^parameters must be a dictionary.*got a tuple.*pass parameters\[0\]\.$"
    ):
        stepwise.predict(X, Y, trained)  # type: ignore[arg-type]
    with pytest.raises(OptionError, match=r"^grads must be a dictionary.*got a tuple.*pass grads\[0\]\.$"):
        stepwise.update_parameters(parameters, (parameters, 0.5), 0.1)  # type: ignore[arg-type]


def test_pairs_of_numbers_are_nested_sequences_as_ever() -> None:
    assert stepwise.compute_cost(((0.5, 0.5),), ((0, 1),)) == pytest.approx(np.log(2))


@pytest.mark.parametrize(
    ("W", "b", "words"),
    [
        (
            np.ones((5, 4)),
            np.ones((4, 1)),
            r"W{} must have shape \(units, 5\), .* got \(5, 4\)\. .*: pass W{}\.T\.$",
        ),
        (
            np.ones((5, 4)),
            np.ones((1, 4)),
            r"W{} must have shape \(units, 5\), .* got \(5, 4\)\. .*: pass W{}\.T\.$",
        ),
        (
            np.ones((4, 5)),
            np.ones(4),
            r"b{} must have shape \(4, 1\), .* got \(4,\)\. Pass b{}\.reshape\(-1, 1\)\.$",
        ),
        (
            np.ones((4, 5)),
            np.ones((1, 4)),
            r"b{} must have shape \(4, 1\), .* got \(1, 4\)\. Pass b{}\.reshape\(-1, 1\)\.$",
        ),
        (np.ones((4, 5)), np.ones((3, 1)), r"b{} must have shape \(4, 1\), one per unit, got \(3, 1\)\.$"),
        (np.ones(5), np.ones((1, 1)), r"W{} must have shape \(units, inputs\), got \(5,\)\.$"),
    ],
)
def test_weights_and_biases_that_lie_otherwise_are_told_how_to_lie(W: Any, b: Any, words: str) -> None:
    with pytest.raises(ShapeError, match=words.format("", "")):
        stepwise.linear_forward(X, W, b)
    with pytest.raises(ShapeError, match=words.format("1", "1")):
        stepwise.L_model_forward(X, {"W1": W, "b1": b})
    behind = {"W1": np.ones((5, 6)), "b1": np.ones((5, 1)), "W2": W, "b2": b}
    with pytest.raises(ShapeError, match=words.format("2", "2")):
        stepwise.L_model_forward(np.ones((6, 7)), behind)


def test_a_layer_that_does_not_take_what_the_one_before_puts_out_is_named() -> None:
    parameters = {**stepwise.initialize_parameters([5, 4, 1]), "W2": np.ones((1, 3))}
    with pytest.raises(
        ShapeError, match=r"^W2 must have shape \(1, 4\), one column per unit of layer 1, got \(1, 3\)"
    ):
        stepwise.L_model_forward(X, parameters)


def test_inputs_that_lie_otherwise_are_not_taken_for_turned_weights() -> None:
    parameters = stepwise.initialize_parameters([5, 7, 1])
    with pytest.raises(ShapeError, match=r"pass X\.T"):
        stepwise.L_model_forward(X.T, parameters)  # 7 rows, as W1 has


def test_a_gradient_that_lies_otherwise_is_told_how_to_lie() -> None:
    parameters = stepwise.initialize_parameters([5, 4, 1])
    grads = {f"d{name}": value for name, value in parameters.items()}
    grads["dW1"] = grads["dW1"].T
    with pytest.raises(ShapeError, match=r"got \(5, 4\)\. Pass dW1\.T\.$"):
        stepwise.update_parameters(parameters, grads, 0.1)


@pytest.mark.parametrize("name", [name for name in stepwise.__all__ if name != "logistic"])
def test_help_says_what_kind_of_thing_every_argument_is(name: str) -> None:
    signature = inspect.signature(getattr(stepwise, name))
    kinds = [parameter.annotation for parameter in signature.parameters.values()]
    assert all(kinds)
    assert not any("Any" in kind for kind in (*kinds, signature.return_annotation))


def test_help_of_logistic_regression_shows_its_functions_and_no_dictionaries_of_python() -> None:
    page = pydoc.plain(pydoc.render_doc(logistic))
    assert "Any" not in page
    assert "Method resolution order" not in page
    for name in logistic.__all__:
        assert f"\n    {name}(" in page
