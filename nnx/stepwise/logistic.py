"""Logistic regression, the network of one neuron, as four functions under their usual names.

A = sigmoid(w^T X + b) is the probability that an example is one of those sought. It is a network of `nnx.stepwise`
with one layer of one unit, W1 being w^T, and the same functions do the work.
"""

from __future__ import annotations

from numbers import Real
from typing import TypedDict

from nnx import registry
from nnx.checks import check_count, check_flag
from nnx.errors import OptionError, ShapeError
from nnx.interface import Array
from nnx.network import DTYPES
from nnx.stepwise.arrays import ArrayLike, ops_for, own_rows, shape_of, weights
from nnx.stepwise.backward import L_model_backward
from nnx.stepwise.costs import compute_cost
from nnx.stepwise.forward import L_model_forward
from nnx.stepwise.parameters import Parameters
from nnx.stepwise.targets import own_target_rows
from nnx.stepwise.training import COST_INTERVAL, check_cost
from nnx.stepwise.updates import update_parameters

__all__ = ["initialize_with_zeros", "model", "optimize", "predict", "propagate"]


class Line(TypedDict):
    """What is learned: w (n, 1), and b, a number."""

    w: Array
    b: float


class Slopes(TypedDict):
    """The gradients: dw (n, 1), and db, a number."""

    dw: Array
    db: float


class Report(Line):
    """What `model` returns."""

    costs: list[float]
    Y_prediction_train: Array
    Y_prediction_test: Array
    train_accuracy: float
    test_accuracy: float
    learning_rate: float
    num_iterations: int


def initialize_with_zeros(dim: int, dtype: str = "float32") -> tuple[Array, float]:
    """Return w = 0 (dim, 1) and b = 0; one neuron learns from zeros as well as from anything else.

    Raises:
        OptionError: dim is not a whole number of at least 1, or dtype neither "float32" nor "float64".
    """
    if dtype not in DTYPES:
        raise OptionError(f"dtype must be 'float32' or 'float64', got {dtype!r}.")
    return registry.current().zeros((check_count("dim", dim), 1), dtype), 0.0


def propagate(w: ArrayLike, b: float, X: ArrayLike, Y: ArrayLike) -> tuple[Slopes, float]:
    """One pass forward and back: A = sigmoid(w^T X + b), dw = 1/m X (A - Y)^T, db = 1/m sum_i (a_i - y_i).

    Args:
        w: (n, 1) weights; float64 weights compute in float64, all others in float32.
        b: the bias, a number.
        X: (n, m) the inputs, one column per example.
        Y: (1, m) the answers, 0 or 1.

    Returns:
        {"dw": (n, 1), "db": a float}, and the cost J = -1/m sum_i [y_i log a_i + (1 - y_i) log(1 - a_i)].

    Raises:
        ShapeError, DataError, DtypeError, BackendError: the arrays do not go together.
        OptionError: b is not a number.
    """
    A, caches = L_model_forward(X, _as_network(w, b))
    grads = L_model_backward(A, Y, caches)
    return {"dw": grads["dW1"].T, "db": float(grads["db1"][0, 0])}, compute_cost(A, Y)


def optimize(
    w: ArrayLike,
    b: float,
    X: ArrayLike,
    Y: ArrayLike,
    num_iterations: int = 100,
    learning_rate: float = 0.009,
    print_cost: bool = False,
) -> tuple[Line, Slopes, list[float]]:
    """Descend: w = w - learning_rate dw, b = b - learning_rate db, as often as asked for.

    Args:
        w: (n, 1) weights to begin with.
        b: the bias to begin with, a number.
        X: (n, m) the inputs.
        Y: (1, m) the answers, 0 or 1.
        num_iterations: how many steps, each on all examples; at least 1.
        learning_rate: >= 0.
        print_cost: whether to print the costs as they come.

    Returns:
        {"w": (n, 1), "b": a float}; the gradients of the last step; and the costs before the steps 0, 100, 200, ...

    Raises:
        OptionError: an option is out of its range.
        ShapeError, DataError, DtypeError, BackendError: the arrays do not go together.
        DivergenceError: the cost became NaN or infinite.
    """
    network, costs = _as_network(w, b), list[float]()
    ops, (_, inputs) = ops_for(network["W1"]), network["W1"].shape
    x = own_rows(X, "X", ops, inputs)  # (m, n)
    X, Y = x.T, own_target_rows(Y, (1, x.shape[0]), ops).T
    line, grads = Line(w=network["W1"].T, b=float(network["b1"][0, 0])), Slopes(dw=None, db=0.0)
    told = check_flag("print_cost", print_cost)
    for iteration in range(check_count("num_iterations", num_iterations)):
        grads, cost = propagate(line["w"], line["b"], X, Y)
        if iteration % COST_INTERVAL == 0:
            costs.append(check_cost(cost, iteration, told))
        line = _descend(line, grads, learning_rate)
    return line, grads, costs


def predict(w: ArrayLike, b: float, X: ArrayLike) -> Array:
    """Return which examples are among those sought, (1, m): 1 where A = sigmoid(w^T X + b) > 0.5, else 0.

    Raises:
        ShapeError, DataError, DtypeError, BackendError: the arrays do not go together.
        OptionError: b is not a number.
    """
    A, _ = L_model_forward(X, _as_network(w, b))
    ops = ops_for(A)
    return ops.asarray(ops.backend.to_numpy(A) > 0.5)


def model(
    X_train: ArrayLike,
    Y_train: ArrayLike,
    X_test: ArrayLike,
    Y_test: ArrayLike,
    num_iterations: int = 2000,
    learning_rate: float = 0.5,
    print_cost: bool = False,
    dtype: str = "float32",
) -> Report:
    """Train from zeros, and predict.

    Args:
        X_train: (n, m) the inputs to learn from, one column per example, best of a size about 1: pixels from 0 to
            255 divided by 255.
        Y_train: (1, m) the answers, 0 or 1.
        X_test: (n, k) the inputs to be measured on besides.
        Y_test: (1, k) the answers.
        num_iterations: as in `optimize`.
        learning_rate: as in `optimize`.
        print_cost: as in `optimize`.
        dtype: "float32" or "float64".

    Returns:
        A dictionary of "w", "b", "costs", "Y_prediction_train", "Y_prediction_test" (1, m), "train_accuracy",
        "test_accuracy" from 0 to 1, "learning_rate" and "num_iterations".

    Raises:
        OptionError, ShapeError, DataError, DtypeError, BackendError, DivergenceError: as the other three do.
    """
    shape = shape_of(X_train, "X_train", ops_for(X_train))
    w, b = initialize_with_zeros(shape[0] if len(shape) == 2 else 1, dtype)
    line, _, costs = optimize(w, b, X_train, Y_train, num_iterations, learning_rate, print_cost)
    guesses = [predict(line["w"], line["b"], X) for X in (X_train, X_test)]
    train, test = (_accuracy(guess, Y) for guess, Y in zip(guesses, (Y_train, Y_test), strict=True))
    return {
        **line,
        "costs": costs,
        "Y_prediction_train": guesses[0],
        "Y_prediction_test": guesses[1],
        "train_accuracy": train,
        "test_accuracy": test,
        "learning_rate": learning_rate,
        "num_iterations": num_iterations,
    }


def _as_network(w: ArrayLike, b: float) -> Parameters:
    """Return the two as parameters of `nnx.stepwise`."""
    ops = ops_for(w)
    shape = shape_of(w, "w", ops)
    if len(shape) != 2 or shape[1] != 1:
        raise ShapeError(f"w must have shape (features, 1), got {shape}; see initialize_with_zeros.")
    if not isinstance(b, Real):
        raise OptionError(f"b must be a number, got {b!r}.")
    return {"W1": weights(w, "w", ops), "b1": ops.asarray([[float(b)]])}


def _descend(line: Line, grads: Slopes, learning_rate: float) -> Line:
    network = _as_network(line["w"], line["b"])
    slopes = {"dW1": grads["dw"].T, "db1": _as_network(line["w"], grads["db"])["b1"]}
    network = update_parameters(network, slopes, learning_rate)
    return {"w": network["W1"].T, "b": float(network["b1"][0, 0])}


def _accuracy(guesses: Array, Y: ArrayLike) -> float:
    ops = ops_for(guesses)
    host, answers = ops.backend.to_numpy(guesses), own_target_rows(Y, tuple(guesses.shape), ops)
    return float((host == (ops.backend.to_numpy(answers).T > 0.5)).mean())
