"""How wrong the outputs are: one number, the mean over the examples, in nats."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nnx.checks import check_number
from nnx.stepwise.arrays import ArrayLike, ArraysByName, ops_for, rows, weights
from nnx.stepwise.parameters import count_layers
from nnx.stepwise.targets import target_rows


def compute_cost(AL: ArrayLike, Y: ArrayLike) -> float:
    """Cross-entropy of the probabilities AL with the answers Y.

    One output (sigmoid): J = -1/m sum_i [y_i log a_i + (1 - y_i) log(1 - a_i)].
    Several (softmax): J = -1/m sum_i sum_k y_ki log a_ki.

    Computed in float64, so that a sum over many examples loses nothing. A probability that was rounded to 0 or 1
    does not make the cost infinite. An a below the smallest normal number of AL's dtype, 1e-38 in float32 or 2e-308
    in float64, counts as it. Where a is 1, 1 - a counts as half the distance to the number before 1, 3e-8 or 6e-17:
    what is nearer to 1 than that is rounded to it.

    The rounding of AL itself cannot be undone: of an a near 1, 1 - a is known to 6e-8 in float32, 1e-16 in float64,
    so that the costs of a network which is very sure of itself, far below 1e-3, have fewer digits than those of
    `nnx.Sequential`, which computes them from Z.

    Args:
        AL: (n_L, m) probabilities; one row means a sigmoid, several a softmax.
        Y: (n_L, m) the answers: 0 or 1 in one row, or one-hot columns.

    Returns:
        J, a Python float.

    Raises:
        ShapeError, DataError, DtypeError, BackendError: the arrays do not go together.
    """
    ops = ops_for(AL)
    outputs = rows(AL, "AL", ops)  # (m, n_L)
    targets = target_rows(Y, (outputs.shape[1], outputs.shape[0]), ops)
    a, y = (ops.backend.to_numpy(array).astype(np.float64) for array in (outputs, targets))
    losses = -y * np.log(_above_zero(a, ops.dtype))
    if a.shape[1] == 1:
        losses -= (1 - y) * np.log(_below_one(a, ops.dtype))
    return float(losses.sum() / a.shape[0])


def _above_zero(a: NDArray[np.float64], dtype: str) -> NDArray[np.float64]:
    """Return probabilities, those below the smallest normal number replaced by it."""
    return np.maximum(a, float(np.finfo(dtype).tiny))


def _below_one(a: NDArray[np.float64], dtype: str) -> NDArray[np.float64]:
    """Return 1 - a, or where a = 1 half the distance to the number before 1."""
    return np.maximum(1 - a, float(np.finfo(dtype).epsneg) / 2)


def compute_cost_with_L2_regularization(  # noqa: N802  # the name that this function has in courses
    AL: ArrayLike, Y: ArrayLike, parameters: ArraysByName, lambd: float
) -> float:
    """J = cross-entropy + lambd / (2 m) sum_l ||W_l||^2, which makes large weights costly.

    Biases are exempt. The gradient of the second term is lambd / m W_l; `L_model_backward` adds it if it is given
    the same lambd.

    Args:
        AL: (n_L, m) probabilities.
        Y: (n_L, m) the answers, as in `compute_cost`.
        parameters: with W1 to WL.
        lambd: >= 0; not "lambda", which is a word of Python.

    Returns:
        J, a Python float.

    Raises:
        OptionError: lambd is negative; parameters miss a layer.
        ShapeError, DataError, DtypeError, BackendError: the arrays do not go together.
    """
    factor, squares = check_number("lambd", lambd, 0), 0.0
    for layer in range(1, count_layers(parameters) + 1):
        ops = ops_for(parameters[f"W{layer}"])
        w = ops.backend.to_numpy(weights(parameters[f"W{layer}"], f"W{layer}", ops)).astype(np.float64)
        squares += float(np.vdot(w, w))
    examples = rows(AL, "AL", ops_for(AL)).shape[0]
    return compute_cost(AL, Y) + factor / (2 * int(examples)) * squares
