"""The parameters of a network: a dictionary of W1, b1, W2, b2 and so on, made and checked."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TypeAlias

from nnx import registry
from nnx.checks import check_count
from nnx.errors import OptionError, ShapeError
from nnx.initializers import InitializerLike, check_initializer
from nnx.interface import Array
from nnx.network import DTYPES
from nnx.ops import Ops
from nnx.random import check_seed, stream_of
from nnx.stepwise.arrays import ArrayLike, ArraysByName, check_column, shape_of

Parameters: TypeAlias = dict[str, Array]
"""W1 (n_1, n_0), b1 (n_1, 1), W2 (n_2, n_1), ..."""

Gradients: TypeAlias = dict[str, Array]
"""dW1 like W1, db1 like b1, ..."""


def initialize_parameters(
    layers_dims: Sequence[int], seed: int = 0, init: InitializerLike = "he", dtype: str = "float32"
) -> Parameters:
    """Draw the weights of a network; biases are zeros.

    With He's rule, W_l is drawn from a normal distribution of variance 2 / n_(l-1). The same seed gives the weights
    of `nnx.Sequential([Flatten(), Dense(n_1), Dense(n_2), ...], seed=seed)`, number by number.

    Args:
        layers_dims: (n_0, n_1, ..., n_L): the inputs, then the units of each layer.
        seed: 0 to 2^64 - 1.
        init: how weights are drawn: a name, a number or a function, see `nnx.initializers`.
        dtype: "float32" or "float64"; all that is computed with these parameters has it.

    Returns:
        W_l (n_l, n_(l-1)) under "W1" to "WL", and b_l (n_l, 1) under "b1" to "bL", on the selected backend.

    Raises:
        OptionError, UnknownNameError: an argument is none of these.

    Examples:
        >>> from nnx import stepwise
        >>> parameters = stepwise.initialize_parameters([12288, 4, 1], seed=1)
        >>> parameters["W1"].shape, parameters["b1"].shape, parameters["W2"].shape
        ((4, 12288), (4, 1), (1, 4))
    """
    dims, draw, key = _check_dims(layers_dims), check_initializer(init), check_seed(seed)
    if dtype not in DTYPES:
        raise OptionError(f"dtype must be 'float32' or 'float64', got {dtype!r}.")
    ops = Ops(registry.current(), dtype)
    parameters: Parameters = {}
    for layer, (inputs, units) in enumerate(pairwise(dims), 1):
        drawn = draw((inputs, units), key, stream_of(f"{layer}.weight"))  # the path of that layer after Flatten
        parameters[f"W{layer}"] = ops.asarray(drawn).T
        parameters[f"b{layer}"] = ops.backend.zeros((units, 1), dtype)
    return parameters


def initialize_parameters_deep(
    layers_dims: Sequence[int], seed: int = 0, init: InitializerLike = "he", dtype: str = "float32"
) -> Parameters:
    """Draw the weights of a network of any number of layers: another name of `initialize_parameters`.

    Courses that write a network of two layers first call the second version so. Some of them draw the weights from
    a normal distribution of standard deviation 0.01, which is init=scaled_normal(0.01) of `nnx.initializers`; a
    deep network hardly learns from weights as small as these.
    """
    return initialize_parameters(layers_dims, seed, init, dtype)


def _check_dims(layers_dims: object) -> tuple[int, ...]:
    if isinstance(layers_dims, str) or not hasattr(layers_dims, "__iter__"):
        raise OptionError(f"layers_dims must be numbers of units, such as [784, 20, 10], got {layers_dims!r}.")
    dims = tuple(check_count("each of layers_dims", units) for units in layers_dims)
    if len(dims) < 2:
        raise OptionError(f"layers_dims must hold the inputs and at least one layer, got {layers_dims!r}.")
    return dims


def count_layers(parameters: ArraysByName) -> int:
    """Return L, the number of layers.

    Raises:
        OptionError: parameters are not W1, b1 to WL, bL.
    """
    check_named("parameters", parameters)
    layers = len(parameters) // 2
    names = {f"{kind}{layer}" for layer in range(1, layers + 1) for kind in "Wb"}
    if layers == 0 or set(parameters) != names:
        raise OptionError(f"parameters must hold W1, b1, W2, b2 and so on, got {', '.join(parameters) or 'none'}.")
    return layers


def check_named(argument: str, value: object) -> None:
    """Make sure that arrays come by name.

    Raises:
        OptionError: they do not.
    """
    if not isinstance(value, Mapping):
        pair = f" Functions that return them with something else return a pair: pass {argument}[0]."
        hint = pair if isinstance(value, tuple) else ""
        raise OptionError(f"{argument} must be a dictionary of arrays by name, got a {type(value).__name__}.{hint}")


def check_layer(W: ArrayLike, b: ArrayLike, inputs: int, ops: Ops, number: str = "") -> int:
    """Make sure that W is not given the other way round, and that b has a row for each of its units.

    Args:
        W: (units, inputs).
        b: (units, 1).
        inputs: how many numbers the layer is given.
        ops: of the selected backend.
        number: of the layer, for its names in errors.

    Returns:
        The number of units.

    Raises:
        ShapeError: one has another shape; the inputs themselves are not compared.
    """
    shape, column = shape_of(W, f"W{number}", ops), shape_of(b, f"b{number}", ops)
    if len(shape) != 2:
        raise ShapeError(f"W{number} must have shape (units, inputs), got {shape}.")
    if shape[0] == inputs != shape[1] and math.prod(column) != shape[0]:
        raise ShapeError(
            f"W{number} must have shape (units, {inputs}), one row per unit, one column per input, got {shape}. It "
            f"looks turned: pass W{number}.T."
        )
    check_column(column, f"b{number}", shape[0])
    return shape[0]


def check_layers(parameters: ArraysByName, inputs: int, ops: Ops) -> None:
    """Make sure that each layer takes what the one before it puts out.

    Args:
        parameters: of all layers, see `count_layers`.
        inputs: how many numbers the first layer is given; whether it takes them is not looked at here.
        ops: of the selected backend.

    Raises:
        ShapeError: naming the first array that does not fit.
    """
    for layer in range(1, count_layers(parameters) + 1):
        W = parameters[f"W{layer}"]
        units = check_layer(W, parameters[f"b{layer}"], inputs, ops, str(layer))
        taken = shape_of(W, f"W{layer}", ops)[1]
        if layer > 1 and taken != inputs:
            raise ShapeError(
                f"W{layer} must have shape ({units}, {inputs}), one column per unit of layer {layer - 1}, got "
                f"{(units, taken)}."
            )
        inputs = units


def gradient_of(name: str, shape: tuple[int, ...], grads: ArraysByName, ops: Ops) -> ArrayLike:
    """Return the gradient of one parameter, which has this shape.

    Raises:
        OptionError: it is missing.
        ShapeError: it has not the parameter's shape.
    """
    key = f"d{name}"
    check_named("grads", grads)
    if key not in grads:
        raise OptionError(f"grads must hold {key}, the gradient of {name}, got {', '.join(grads) or 'none'}.")
    given = shape_of(grads[key], key, ops)
    if given != shape:
        hint = f" Pass {key}.T." if given == shape[::-1] else ""
        raise ShapeError(f"{key} must have the shape of {name}, {shape}, got {given}.{hint}")
    return grads[key]
