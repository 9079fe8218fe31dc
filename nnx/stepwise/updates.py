"""From gradients to better parameters: gradient descent, and what makes it faster.

Every function returns new parameters and moments; those given stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable

from nnx.checks import check_count, check_number
from nnx.errors import OptionError
from nnx.interface import Array
from nnx.ops import Ops
from nnx.stepwise.arrays import ArrayLike, ArraysByName, copy_of, ops_for, shape_of, weights
from nnx.stepwise.parameters import Gradients, Parameters, check_named, gradient_of

Moments = Gradients
"""One array like each parameter: "dW1" like W1, "db1" like b1, ..."""

Rule = Callable[[Ops, Array, Array, list[Array]], None]
"""Changes parameters p and their moments in place, given gradients g, all (P,): rule(ops, p, g, moments)."""


def update_parameters(parameters: ArraysByName, grads: ArraysByName, learning_rate: float) -> Parameters:
    """One step of gradient descent: W = W - learning_rate dW, b = b - learning_rate db.

    Args:
        parameters: W1, b1 and so on.
        grads: dW1, db1 and so on, from `L_model_backward`; others in it are not read.
        learning_rate: >= 0.

    Returns:
        The new parameters.

    Raises:
        OptionError: a gradient is missing; the learning rate is negative.
        ShapeError, BackendError: a gradient is not like its parameter.
    """
    rate = check_number("learning_rate", learning_rate, 0)

    def rule(ops: Ops, p: Array, g: Array, moments: list[Array]) -> None:
        del moments
        ops.call(ops.backend.sgd, p, g, ops.asarray(rate))

    return _updated(parameters, grads, rule)[0]


def initialize_velocity(parameters: ArraysByName) -> Moments:
    """Return zeros like each parameter, "dW1" like W1 and so on: the velocity before the first step."""
    zeros = Moments()
    for name, value in parameters.items():
        ops = ops_for(value)
        turned = tuple(weights(value, name, ops).shape)  # zeros that lie in memory as the weights do
        zeros[f"d{name}"] = ops.backend.zeros(turned, ops.dtype).T
    return zeros


def update_parameters_with_momentum(
    parameters: ArraysByName,
    grads: ArraysByName,
    v: ArraysByName,
    beta: float,
    learning_rate: float,
) -> tuple[Parameters, Moments]:
    """One step along a running mean of the gradients.

    v = beta v + (1 - beta) dW, W = W - learning_rate v; so for b.

    `nnx.Momentum` leaves the factor 1 - beta out, as most libraries do: with the learning rate times 1 - beta it
    takes the same steps.

    Args:
        parameters: W1, b1 and so on.
        grads: dW1, db1 and so on.
        v: from `initialize_velocity`, or from the step before.
        beta: how much of the mean is kept, in [0, 1); 0.9 is usual.
        learning_rate: >= 0.

    Returns:
        The new parameters and v.

    Raises:
        OptionError, ShapeError, BackendError: as `update_parameters` does; beta is out of its range.
    Source: Polyak 1964.
    """
    rate, kept = check_number("learning_rate", learning_rate, 0), check_number("beta", beta, 0, 1)

    def rule(ops: Ops, p: Array, g: Array, moments: list[Array]) -> None:
        ops.call(ops.backend.momentum, p, (1 - kept) * g, *moments, ops.asarray(rate), kept)

    new, (v_new,) = _updated(parameters, grads, rule, v)
    return new, v_new


def initialize_rmsprop(parameters: ArraysByName) -> Moments:
    """Return zeros like each parameter, "dW1" like W1 and so on: the mean squares before the first step."""
    return initialize_velocity(parameters)


def update_parameters_with_rmsprop(
    parameters: ArraysByName,
    grads: ArraysByName,
    s: ArraysByName,
    learning_rate: float,
    beta: float = 0.9,
    epsilon: float = 1e-7,
) -> tuple[Parameters, Moments]:
    """One step, each gradient divided by its usual size.

    s = beta s + (1 - beta) dW^2, W = W - learning_rate dW / (sqrt(s) + epsilon); so for b.

    Args:
        parameters: W1, b1 and so on.
        grads: dW1, db1 and so on.
        s: from `initialize_rmsprop`, or from the step before.
        learning_rate: >= 0.
        beta: how much of the running mean of squares is kept, in [0, 1).
        epsilon: keeps a gradient that was always 0 from a division by 0; > 0.

    Returns:
        The new parameters and s.

    Raises:
        OptionError, ShapeError, BackendError: as `update_parameters` does; an option is out of its range.
    Source: Tieleman & Hinton 2012, lecture 6.5.
    """
    rate, kept = check_number("learning_rate", learning_rate, 0), check_number("beta", beta, 0, 1)
    small = check_number("epsilon", epsilon, 0, open_low=True)

    def rule(ops: Ops, p: Array, g: Array, moments: list[Array]) -> None:
        ops.call(ops.backend.rmsprop, p, g, *moments, ops.asarray(rate), kept, small)

    new, (s_new,) = _updated(parameters, grads, rule, s)
    return new, s_new


def initialize_adam(parameters: ArraysByName) -> tuple[Moments, Moments]:
    """Return v and s, both zeros like each parameter: the moments before the first step."""
    return initialize_velocity(parameters), initialize_velocity(parameters)


def update_parameters_with_adam(
    parameters: ArraysByName,
    grads: ArraysByName,
    v: ArraysByName,
    s: ArraysByName,
    t: int,
    learning_rate: float = 0.01,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-8,
) -> tuple[Parameters, Moments, Moments]:
    """One step of Adam: along the mean gradient, as momentum, by its own size, as RMSprop; both means corrected.

    v = beta1 v + (1 - beta1) dW and s = beta2 s + (1 - beta2) dW^2. They begin at 0, which makes the first ones too
    small: v / (1 - beta1^t) and s / (1 - beta2^t) are right, and W = W - learning_rate v' / (sqrt(s') + epsilon).

    Args:
        parameters: W1, b1 and so on.
        grads: dW1, db1 and so on.
        v: the mean gradients, from `initialize_adam` or from the step before.
        s: the mean squares, likewise.
        t: the number of this step, from 1.
        learning_rate: >= 0.
        beta1: how much of v is kept, in [0, 1).
        beta2: how much of s is kept, in [0, 1).
        epsilon: keeps a gradient that was always 0 from a division by 0; > 0.

    Returns:
        The new parameters, v and s.

    Raises:
        OptionError, ShapeError, BackendError: as `update_parameters` does; an option is out of its range.
    Source: Kingma & Ba 2015, Algorithm 1.
    """
    rate, number = check_number("learning_rate", learning_rate, 0), check_count("t", t)
    betas = check_number("beta1", beta1, 0, 1), check_number("beta2", beta2, 0, 1)
    small = check_number("epsilon", epsilon, 0, open_low=True)

    def rule(ops: Ops, p: Array, g: Array, moments: list[Array]) -> None:
        before = ops.asarray(number - 1, "int64")
        ops.call(ops.backend.adam, p, g, *moments, before, ops.asarray(rate), *betas, small, 0.0)

    new, (v_new, s_new) = _updated(parameters, grads, rule, v, s)
    return new, v_new, s_new


def _updated(
    parameters: ArraysByName,
    grads: ArraysByName,
    rule: Rule,
    *moments: ArraysByName,
) -> tuple[Parameters, list[Moments]]:
    """Apply a rule to copies of all parameters and moments, each as one flat array."""
    check_named("parameters", parameters)
    new = Parameters()
    new_moments: list[Moments] = [{} for _ in moments]
    for name, value in parameters.items():
        ops, key = ops_for(value), f"d{name}"
        p = copy_of(ops, weights(value, name, ops))
        shape = tuple(p.T.shape)
        g = ops.flat(weights(gradient_of(name, shape, grads, ops), key, ops))
        held = [copy_of(ops, weights(_moment(key, shape, moment, ops), key, ops)) for moment in moments]
        rule(ops, ops.flat(p), g, [ops.flat(array) for array in held])
        new[name] = p.T
        for kept, array in zip(new_moments, held, strict=True):
            kept[key] = array.T
    return new, new_moments


def _moment(key: str, shape: tuple[int, ...], moment: ArraysByName, ops: Ops) -> ArrayLike:
    if key not in moment or shape_of(moment[key], key, ops) != shape:
        start = "initialize_velocity, initialize_rmsprop or initialize_adam"
        raise OptionError(f"the moments must hold {key} of shape {shape}; begin with those of {start}.")
    return moment[key]
