"""From inputs to outputs: a layer is an affine map and an activation, a network one layer after another.

Every function returns what it computed and a cache of what its backward function needs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from nnx.checks import DEFAULT_ALPHA, check_flag
from nnx.errors import UnknownNameError
from nnx.interface import Array
from nnx.stepwise.arrays import ArrayLike, ArraysByName, biases, ops_for, rows, shape_of, weights
from nnx.stepwise.normalization import apply_batchnorm
from nnx.stepwise.parameters import check_layer, check_layers, count_layers

LinearCache: TypeAlias = tuple[Array, Array, Array]
"""(A_prev, W, b)."""

Cache: TypeAlias = tuple[LinearCache, Array]
"""(linear_cache, activation_cache) of one layer; the activation's is Z."""


class Caches(list[Cache]):
    """The caches of all layers, from the first to the last, and how the hidden ones were computed.

    Attributes:
        activation: of the hidden layers.
        use_batchnorm: whether `apply_batchnorm` followed it.
        outputs: AL (n_L, m), what the last layer put out.
    """

    outputs: Array

    def __init__(self, activation: str, use_batchnorm: bool) -> None:
        """Begin without layers."""
        super().__init__()
        self.activation, self.use_batchnorm = activation, use_batchnorm


def linear_forward(A: ArrayLike, W: ArrayLike, b: ArrayLike) -> tuple[Array, LinearCache]:
    """Z = W A + b, the affine part of a layer.

    Args:
        A: (n_prev, m) the activations of the layer before, or the inputs.
        W: (n, n_prev).
        b: (n, 1).

    Returns:
        Z (n, m), and the cache (A, W, b) for `linear_backward`.

    Raises:
        ShapeError, DataError, DtypeError, BackendError: the arrays do not go together.
    """
    ops = ops_for(W)
    given = shape_of(A, "A", ops)
    check_layer(W, b, given[0] if given else 0, ops)
    weight = weights(W, "W", ops)  # (n_prev, n)
    inputs, bias = rows(A, "A", ops, weight.shape[0]), biases(b, "b", ops, weight.shape[1])
    Z = ops.linear(inputs, weight, bias).T  # (m, n) seen as (n, m)
    return Z, (inputs.T, weight.T, ops.reshape(bias, (weight.shape[1], 1)))


def relu(Z: ArrayLike) -> tuple[Array, Array]:
    """A = max(Z, 0); returns A (n, m) and the cache Z."""
    return _activate(Z, "relu")


def leaky_relu(Z: ArrayLike) -> tuple[Array, Array]:
    """A = Z where Z > 0, else 0.01 Z, so that no slope is 0, as relu's is; returns A (n, m) and the cache Z."""
    return _activate(Z, "leaky_relu")


def sigmoid(Z: ArrayLike) -> tuple[Array, Array]:
    """A = 1 / (1 + e^-Z), without overflow for any Z; returns A (n, m) and the cache Z."""
    return _activate(Z, "sigmoid")


def tanh(Z: ArrayLike) -> tuple[Array, Array]:
    """A = tanh Z; returns A (n, m) and the cache Z."""
    return _activate(Z, "tanh")


def softmax(Z: ArrayLike) -> tuple[Array, Array]:
    """A_ki = e^Z_ki / sum_j e^Z_ji: each column becomes a distribution over its n classes.

    The largest of the column is subtracted from it before, which changes nothing but avoids overflow. Returns
    A (n, m) and the cache Z.
    """
    ops = ops_for(Z)
    z = rows(Z, "Z", ops)  # (m, n)
    return ops.softmax(z).T, z.T


def _activate(Z: ArrayLike, activation: str) -> tuple[Array, Array]:
    ops = ops_for(Z)
    z = rows(Z, "Z", ops)  # (m, n)
    return ops.activate(z, activation, DEFAULT_ALPHA.get(activation, 0.0)).T, z.T


ACTIVATIONS: dict[str, Callable[[ArrayLike], tuple[Array, Array]]] = {
    "relu": relu,
    "leaky_relu": leaky_relu,
    "sigmoid": sigmoid,
    "tanh": tanh,
    "softmax": softmax,
}
"""Each activation by name."""


def check_activation(activation: str) -> str:
    """Return the name of an activation.

    Raises:
        UnknownNameError: there is no such activation here.
    """
    if not isinstance(activation, str) or activation not in ACTIVATIONS:
        raise UnknownNameError("activation", activation, ACTIVATIONS)
    return activation


def linear_activation_forward(
    A_prev: ArrayLike, W: ArrayLike, b: ArrayLike, activation: str
) -> tuple[Array, Cache]:
    """A = g(W A_prev + b), one layer.

    Args:
        A_prev: (n_prev, m).
        W: (n, n_prev).
        b: (n, 1).
        activation: g, "relu", "leaky_relu", "sigmoid", "tanh" or "softmax".

    Returns:
        A (n, m), and the cache ((A_prev, W, b), Z) for `linear_activation_backward`.

    Raises:
        UnknownNameError: no activation has that name.
        ShapeError, DataError, DtypeError, BackendError: the arrays do not go together.
    """
    function = ACTIVATIONS[check_activation(activation)]
    Z, linear_cache = linear_forward(A_prev, W, b)
    A, activation_cache = function(Z)
    return A, (linear_cache, activation_cache)


def output_activation(units: int) -> str:
    """Return the activation of the last layer: one unit says yes or no, several share the probability."""
    return "sigmoid" if units == 1 else "softmax"


def L_model_forward(  # noqa: N802  # the name that this function has in courses
    X: ArrayLike, parameters: ArraysByName, use_batchnorm: bool = False, activation: str = "relu"
) -> tuple[Array, Caches]:
    """Run a whole network: A_0 = X, A_l = g(W_l A_(l-1) + b_l), and the last layer a sigmoid or softmax.

    Args:
        X: (n_0, m) the inputs, one column per example, best of a size about 1: pixels from 0 to 255 divided by 255.
        parameters: as `initialize_parameters` makes them; they decide the dtype.
        use_batchnorm: put `apply_batchnorm` behind the activation of every hidden layer.
        activation: g of the hidden layers. The last is a sigmoid if it has one unit, else a softmax.

    Returns:
        AL (n_L, m), the probabilities, and the caches of all layers for `L_model_backward`.

    Raises:
        UnknownNameError, OptionError: no activation has that name; parameters miss a layer.
        ShapeError, DataError, DtypeError, BackendError: the arrays do not go together.
    """
    layers = count_layers(parameters)
    caches = Caches(check_activation(activation), check_flag("use_batchnorm", use_batchnorm))
    ops = ops_for(parameters["W1"])
    given = shape_of(X, "X", ops)
    check_layers(parameters, given[0] if given else 0, ops)
    A = rows(X, "X", ops, weights(parameters["W1"], "W1", ops).shape[0]).T
    outputs = weights(parameters[f"W{layers}"], f"W{layers}", ops).shape[1]
    for layer in range(1, layers + 1):
        W, b = parameters[f"W{layer}"], parameters[f"b{layer}"]
        last = layer == layers
        A, cache = linear_activation_forward(A, W, b, output_activation(outputs) if last else activation)
        caches.append(cache)
        if use_batchnorm and not last:
            A = apply_batchnorm(A)
    caches.outputs = A
    return A, caches
