"""From the cost back to the gradient of every parameter, by the chain rule.

A name such as dZ stands for the gradient of Z. Courses write the 1/m of a mean over m examples in dW and db alone,
and so do the functions of one layer here: dZ and dA are m times the gradients of the cost J = 1/m sum_i J_i then.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from nnx.checks import DEFAULT_ALPHA, check_count, check_flag, check_number
from nnx.errors import DataError, OptionError
from nnx.interface import Array
from nnx.stepwise.arrays import ArrayLike, ops_for, rows, shape_of, weights
from nnx.stepwise.forward import ACTIVATIONS, Cache, Caches, LinearCache, check_activation
from nnx.stepwise.normalization import batchnorm_backward
from nnx.stepwise.parameters import Gradients
from nnx.stepwise.targets import target_rows


def linear_backward(
    dZ: ArrayLike, cache: LinearCache, m: int | None = None, wants_dA: bool = True
) -> tuple[Array | None, Array, Array]:
    """dW = 1/m dZ A_prev^T, db = 1/m sum_i dZ_i, dA_prev = W^T dZ: the gradients of `linear_forward`.

    Args:
        dZ: (n, m) the gradient of Z.
        cache: (A_prev, W, b) from `linear_forward`.
        m: by how many examples to divide: by default the columns of dZ. Give the size of the whole batch if these
            are a part of it, and 1 if dZ has been divided already.
        wants_dA: whether dA_prev is of use. That of the inputs is not, and costs as much as dW.

    Returns:
        dA_prev (n_prev, m), or None if it is not wanted; dW (n, n_prev); db (n, 1).

    Raises:
        OptionError: m is not a whole number of at least 1; wants_dA is neither True nor False.
        ShapeError, DataError, DtypeError, BackendError: the arrays do not go together.
    """
    A_prev, W, _ = cache
    ops = ops_for(W)
    weight = weights(W, "W", ops)  # (n_prev, n)
    inputs = rows(A_prev, "A_prev", ops, weight.shape[0])  # (m, n_prev)
    dz = rows(dZ, "dZ", ops, weight.shape[1], inputs.shape[0])  # (m, n)
    count = dz.shape[0] if m is None else check_count("m", m)
    dw, db = ops.like(weight), ops.empty(weight.shape[1])
    wanted = check_flag("wants_dA", wants_dA)
    dA = ops.linear_backward(inputs, dz, dz, weight, dw, db, "identity", 0.0, wanted)  # (m, n_prev)
    if count > 1:
        dw, db = dw / count, db / count
    return None if dA is None else dA.T, dw.T, ops.reshape(db, (weight.shape[1], 1))


def relu_backward(dA: ArrayLike, cache: ArrayLike) -> Array:
    """dZ = dA where Z > 0, else 0; cache is Z (n, m), dA and dZ are alike."""
    return _activate_backward(dA, cache, "relu")


def leaky_relu_backward(dA: ArrayLike, cache: ArrayLike) -> Array:
    """dZ = dA where Z > 0, else 0.01 dA; cache is Z (n, m), dA and dZ are alike."""
    return _activate_backward(dA, cache, "leaky_relu")


def sigmoid_backward(dA: ArrayLike, cache: ArrayLike) -> Array:
    """dZ = dA A (1 - A) with A = sigmoid(Z); cache is Z (n, m), dA and dZ are alike."""
    return _activate_backward(dA, cache, "sigmoid")


def tanh_backward(dA: ArrayLike, cache: ArrayLike) -> Array:
    """dZ = dA (1 - A^2) with A = tanh Z; cache is Z (n, m), dA and dZ are alike."""
    return _activate_backward(dA, cache, "tanh")


def softmax_backward(dA: ArrayLike, cache: ArrayLike) -> Array:
    """dZ_ki = A_ki (dA_ki - sum_j A_ji dA_ji) with A = softmax(Z); cache is Z (n, m), dA and dZ are alike.

    The sum is there because every probability of a column depends on every Z of it. For the cross-entropy, where
    dA = -Y / A, all this comes to dZ = A - Y; see `L_model_backward`.
    """
    ops = ops_for(cache)
    z = rows(cache, "Z", ops)  # (m, n)
    return ops.softmax_backward(ops.softmax(z), rows(dA, "dA", ops, z.shape[1], z.shape[0])).T


def _activate_backward(dA: ArrayLike, Z: ArrayLike, activation: str) -> Array:
    ops = ops_for(Z)
    z = rows(Z, "Z", ops)  # (m, n)
    da, alpha = rows(dA, "dA", ops, z.shape[1], z.shape[0]), DEFAULT_ALPHA.get(activation, 0.0)
    return ops.activate_backward(z, ops.activate(z, activation, alpha), da, activation, alpha).T


BACKWARD: dict[str, Callable[[ArrayLike, ArrayLike], Array]] = {
    "relu": relu_backward,
    "leaky_relu": leaky_relu_backward,
    "sigmoid": sigmoid_backward,
    "tanh": tanh_backward,
    "softmax": softmax_backward,
}
"""The backward function of each activation by name."""


def linear_activation_backward(
    dA: ArrayLike, cache: Cache, activation: str, m: int | None = None, wants_dA: bool = True
) -> tuple[Array | None, Array, Array]:
    """dZ = dA g'(Z), then `linear_backward`: the gradients of `linear_activation_forward`.

    Args:
        dA: (n, m) the gradient of A.
        cache: ((A_prev, W, b), Z) from `linear_activation_forward`.
        activation: g, the same as there.
        m: by how many examples to divide, see `linear_backward`.
        wants_dA: whether dA_prev is of use, see there.

    Returns:
        dA_prev (n_prev, m), or None if it is not wanted; dW (n, n_prev); db (n, 1).

    Raises:
        UnknownNameError: no activation has that name.
        OptionError, ShapeError, DataError, DtypeError, BackendError: the arguments do not go together.
    """
    linear_cache, activation_cache = cache
    dZ = BACKWARD[check_activation(activation)](dA, activation_cache)
    return linear_backward(dZ, linear_cache, m, wants_dA)


def L_model_backward(  # noqa: N802  # the name that this function has in courses
    AL: ArrayLike, Y: ArrayLike, caches: Caches, lambd: float = 0.0
) -> Gradients:
    """Gradients of the cost J of a whole network, from the last layer to the first.

    It begins with dZ_L = 1/m (AL - Y), for the sigmoid and the softmax alike. The way there through
    dAL = -Y / AL + (1 - Y) / (1 - AL), as courses take it, comes to the same on paper, but divides by 0 as soon as
    a probability is rounded to 0 or 1. The kernel of the loss computes it from the Z_L in the cache, which keeps
    more digits than the difference of AL and Y. Since 1/m is in it from the beginning, dA_l is the gradient of J
    itself here, and nothing is divided again. It is how `nnx.Sequential` computes: to divide last rounds otherwise,
    by which float32 training of a deep, narrow network ends up elsewhere.

    Args:
        AL: (n_L, m) the outputs that `L_model_forward` returned with the caches; one row means a sigmoid, several a
            softmax. A copy, or one whose zeros and ones were clipped, will do.
        Y: (n_L, m) the answers, as in `compute_cost`.
        caches: from `L_model_forward`.
        lambd: factor of the L2 penalty in J, see `compute_cost_with_L2_regularization`: adds lambd / m W_l to dW_l.

    Returns:
        dW_l and db_l, like W_l and b_l, under "dW1" to "dWL" and "db1" to "dbL"; and dA_l (n_l, m), the gradients
        of what the hidden layers put out, under "dA1" to "dA(L-1)".

    Raises:
        OptionError: caches are not from `L_model_forward`; lambd is negative.
        DataError: AL is not what `L_model_forward` returned with these caches.
        ShapeError, DtypeError, BackendError: the arrays do not go together.
    """
    if not isinstance(caches, Caches) or not caches:
        raise OptionError(f"caches must be what L_model_forward returned, got a {type(caches).__name__}.")
    factor, grads, last = check_number("lambd", lambd, 0), Gradients(), len(caches)
    _check_outputs(AL, Y, caches)
    dZ, cost = _output_gradient(Y, caches[-1][1])
    for layer in range(last, 0, -1):
        linear_cache, Z = caches[layer - 1]
        if layer < last:
            dZ = _through_activation(grads[f"dA{layer}"], Z, caches)
        dA, dW, db = linear_backward(dZ, linear_cache, m=1, wants_dA=layer > 1)
        _penalise(dW, linear_cache[1], cost, factor / Z.shape[1])
        grads[f"dW{layer}"], grads[f"db{layer}"] = dW, db
        if dA is not None:
            grads[f"dA{layer - 1}"] = dA
    return grads


def _check_outputs(AL: ArrayLike, Y: ArrayLike, caches: Caches) -> None:
    """Make sure that AL came with the caches, from which alone the gradients are computed."""
    if AL is caches.outputs:
        return
    Z = caches[-1][1]
    ops, (units, examples) = ops_for(Z), Z.shape

    def same(outputs: ArrayLike, argument: str) -> bool:
        given = ops.backend.to_numpy(rows(outputs, argument, ops, units, examples).T)
        return np.allclose(given, ops.backend.to_numpy(caches.outputs), 0, _SAME, equal_nan=True)

    if not same(AL, "AL"):
        swapped = shape_of(Y, "Y", ops) == tuple(Z.shape) and same(Y, "Y")
        hint = " AL and Y have changed places." if swapped else " Pass the AL that came with them."
        raise DataError(
            "AL must be the outputs that L_model_forward returned with these caches, got other numbers; the order "
            f"is L_model_backward(AL, Y, caches).{hint}"
        )


_SAME = 1e-5
"""How far AL may be from the outputs: more than rounding to float32 and the clipping of zeros and ones change."""


def _output_gradient(Y: ArrayLike, Z: ArrayLike) -> tuple[Array, Array]:
    """Return dZ_L = 1/m (AL - Y), and the cost, as an array."""
    ops = ops_for(Z)
    z = rows(Z, "Z", ops)  # (m, n_L)
    targets = target_rows(Y, tuple(Z.shape), ops)
    if z.shape[1] == 1:
        cost, dz = ops.sigmoid_cross_entropy(z, targets, None, gradient=True)
    else:
        cost, dz = ops.softmax_cross_entropy(z, targets, None, 0.0, gradient=True)
    return dz.T, cost  # type: ignore[union-attr]  # there is a gradient, since one was asked for


def _through_activation(dA: Array, Z: Array, caches: Caches) -> Array:
    """Return dZ of a hidden layer from the gradient of what it put out."""
    if caches.use_batchnorm:
        A, _ = ACTIVATIONS[caches.activation](Z)
        dA = batchnorm_backward(dA, A)
    return BACKWARD[caches.activation](dA, Z)


def _penalise(dW: Array, W: Array, cost: Array, scale: float) -> None:
    """Add scale W to dW, in place."""
    if scale:
        ops = ops_for(W)
        ops.call(ops.backend.l2_penalty, W.T, dW.T, cost, scale)
