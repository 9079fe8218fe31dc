"""Training and prediction, made of the functions of one step."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from nnx.checks import check_count, check_flag
from nnx.errors import DivergenceError
from nnx.initializers import InitializerLike
from nnx.stepwise.arrays import ArrayLike, ArraysByName, ops_for, own_rows
from nnx.stepwise.backward import L_model_backward
from nnx.stepwise.batches import batch_size_of, endless_batches
from nnx.stepwise.costs import compute_cost, compute_cost_with_L2_regularization
from nnx.stepwise.forward import L_model_forward
from nnx.stepwise.parameters import Parameters, initialize_parameters
from nnx.stepwise.targets import own_target_rows
from nnx.stepwise.updates import update_parameters

COST_INTERVAL = 100
"""Iterations from one cost in the list to the next."""


def L_layer_model(  # noqa: N802  # the name that this function has in courses
    X: ArrayLike,
    Y: ArrayLike,
    layers_dims: Sequence[int],
    learning_rate: float = 0.0075,
    num_iterations: int = 3000,
    batch_size: int | str = "full",
    *,
    use_batchnorm: bool = False,
    lambd: float = 0.0,
    activation: str = "relu",
    init: InitializerLike = "he",
    seed: int = 0,
    dtype: str = "float32",
    print_cost: bool = False,
) -> tuple[Parameters, list[float]]:
    """Train a network by gradient descent: forward, cost, backward, update, again and again.

    An iteration is one such round on one batch; with batch_size="full" every iteration sees all examples. The same
    seed gives the weights and the batches of `nnx.Sequential` with `Flatten` and a `Dense` per layer, trained by
    `nnx.SGD(learning_rate)`; a network that ends in one unit goes through the very same numbers.

    Args:
        X: (n_0, m) the inputs, one column per example, best of a size about 1: pixels from 0 to 255 divided by 255.
            Sums of large inputs throw hidden units far to one side, where many of them never learn.
        Y: (n_L, m) the answers: one row of 0 and 1, or one-hot columns.
        layers_dims: (n_0, n_1, ..., n_L). The last layer is a sigmoid if it has one unit, else a softmax.
        learning_rate: >= 0.
        num_iterations: how many rounds, >= 1.
        batch_size: examples per round, or "full".
        use_batchnorm: put `apply_batchnorm` behind the activation of every hidden layer.
        lambd: factor of the L2 penalty, >= 0.
        activation: of the hidden layers.
        init: how weights are drawn, as in `initialize_parameters`.
        seed: decides weights and batches.
        dtype: "float32" or "float64".
        print_cost: whether to print the costs as they come.

    Returns:
        The parameters, and the costs of the batches of the iterations 0, 100, 200 and so on, before their update,
        with the penalty.

    Raises:
        OptionError, UnknownNameError: an option is out of its range.
        ShapeError, DataError, DtypeError, BackendError: X and Y are not what the network takes.
        DivergenceError: the cost or a parameter became NaN or infinite, or the cost of all examples in the end is
            over ten times that of guessing, log(number of classes).
    """
    parameters, size = initialize_parameters(layers_dims, seed, init, dtype), batch_size_of(batch_size)
    rounds, told = check_count("num_iterations", num_iterations), check_flag("print_cost", print_cost)
    check_flag("use_batchnorm", use_batchnorm)
    ops, costs = ops_for(parameters["W1"]), list[float]()
    x = own_rows(X, "X", ops, layers_dims[0])  # (m, n_0)
    y = own_target_rows(Y, (layers_dims[-1], x.shape[0]), ops)  # (m, n_L)
    batches = endless_batches(ops, x, y, size, seed)
    for iteration, (X_batch, Y_batch) in zip(range(rounds), batches, strict=False):
        AL, caches = L_model_forward(X_batch, parameters, use_batchnorm, activation)
        if iteration % COST_INTERVAL == 0:
            cost = compute_cost_with_L2_regularization(AL, Y_batch, parameters, lambd)
            costs.append(check_cost(cost, iteration, told))
        grads = L_model_backward(AL, Y_batch, caches, lambd)
        parameters = update_parameters(parameters, grads, learning_rate)
    _check_parameters(parameters)
    AL, _ = L_model_forward(x.T, parameters, use_batchnorm, activation)
    _check_last_cost(compute_cost(AL, y.T), layers_dims[-1])
    return parameters, costs


def check_cost(cost: float, iteration: int, told: bool) -> float:
    """Return a cost that is a number, and print it if it is to be told.

    Raises:
        DivergenceError: it is NaN or infinite.
    """
    if not math.isfinite(cost):
        raise DivergenceError(f"The cost is {cost:g} in iteration {iteration}; {_ADVICE}")
    if told:
        print(f"Cost after iteration {iteration}: {cost:f}", flush=True)
    return cost


def _check_parameters(parameters: Parameters) -> None:
    for name, value in parameters.items():
        if not np.isfinite(ops_for(value).backend.to_numpy(value)).all():
            raise DivergenceError(f"{name} holds NaN or infinity after the last iteration; {_ADVICE}")


def _check_last_cost(cost: float, outputs: int) -> None:
    """Refuse parameters that are finite but good for nothing, as steps that are far too long leave them.

    Raises:
        DivergenceError: guessing costs less than a tenth.
    """
    guessing = math.log(max(outputs, 2))
    if not cost <= 10 * guessing:
        raise DivergenceError(
            f"The cost is {cost:g} after the last iteration, where guessing would cost {guessing:.2g}; {_ADVICE}"
        )


_ADVICE = "lower the learning rate, or scale the inputs to about 1."


def predict(
    X: ArrayLike,
    Y: ArrayLike,
    parameters: ArraysByName,
    use_batchnorm: bool = False,
    activation: str = "relu",
) -> float:
    """Return the accuracy of a network: the share of examples whose most likely class is the right one.

    One output says yes where AL > 0.5; of several, the largest decides. With batch normalisation the statistics are
    those of the examples given here, since `apply_batchnorm` keeps none from training: give many at once, as in
    training; of a single one nothing would be left but 0.

    Args:
        X: (n_0, m).
        Y: (n_L, m), as in `L_layer_model`.
        parameters: the trained ones.
        use_batchnorm: as in training.
        activation: as in training.

    Returns:
        The accuracy, from 0 to 1. For the probabilities themselves, call `L_model_forward`.

    Raises:
        UnknownNameError, OptionError: no activation has that name; parameters miss a layer.
        ShapeError, DataError, DtypeError, BackendError: the arrays do not go together.
    """
    AL, _ = L_model_forward(X, parameters, use_batchnorm, activation)
    ops = ops_for(AL)
    outputs = ops.backend.to_numpy(AL)
    answers = ops.backend.to_numpy(own_target_rows(Y, outputs.shape, ops)).T
    if outputs.shape[0] == 1:
        return float(((outputs > 0.5) == (answers > 0.5)).mean())
    return float((outputs.argmax(axis=0) == answers.argmax(axis=0)).mean())
