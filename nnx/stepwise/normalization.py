"""Batch normalisation in its plainest form, and its gradient.

There is no learned scale and offset here, and no running mean for prediction, as `nnx.BatchNorm` has them: this is
the formula alone, applied to whatever examples are given.
"""

from __future__ import annotations

from nnx.checks import check_number
from nnx.interface import Array
from nnx.ops import Ops
from nnx.ops.normalization import Normalised
from nnx.stepwise.arrays import ArrayLike, ops_for, rows

EPSILON = 1e-5


def apply_batchnorm(A: ArrayLike, epsilon: float = EPSILON) -> Array:
    """NA = (A - mean) / sqrt(var + epsilon): each unit gets mean 0 and variance 1 over the examples of the batch.

    mean_k = 1/m sum_i A_ki and var_k = 1/m sum_i (A_ki - mean_k)^2, for unit k over all examples i. A single
    example is its own mean, so that it becomes 0.

    Args:
        A: (n, m) activations.
        epsilon: keeps a unit that is the same for all examples from a division by 0; > 0.

    Returns:
        NA (n, m).

    Raises:
        OptionError: epsilon is not above 0.
        ShapeError, DataError, DtypeError, BackendError: A is not a matrix of numbers with at least one column.
    Source: Ioffe & Szegedy 2015, Algorithm 1.
    """
    ops = ops_for(A)
    return _normalise(ops, rows(A, "A", ops), epsilon)[0].T


def batchnorm_backward(dNA: ArrayLike, A: ArrayLike, epsilon: float = EPSILON) -> Array:
    """Gradient of `apply_batchnorm`: dA = (dNA - mean(dNA) - NA mean(dNA NA)) / sqrt(var + epsilon).

    The two means, over the examples, are there because mean and variance of a batch depend on every example in it.
    To leave them out, as if mean and variance were constants, is a widespread mistake: then the steps taken are not
    those that make the cost small.

    Args:
        dNA: (n, m) the gradient of NA.
        A: (n, m) what `apply_batchnorm` was given.
        epsilon: the same as there.

    Returns:
        dA (n, m).

    Raises:
        OptionError: epsilon is not above 0.
        ShapeError, DataError, DtypeError, BackendError: the arrays do not go together.
    """
    ops = ops_for(A)
    a = rows(A, "A", ops)  # (m, n)
    dna = rows(dNA, "dNA", ops, a.shape[1], a.shape[0])
    _, mean, rstd = _normalise(ops, a, epsilon)
    unused = ops.empty(a.shape[1]), ops.empty(a.shape[1])  # the gradients of a scale and an offset
    dA = ops.batch_norm_backward(a, _filled(ops, a, 1), mean, rstd, dna, unused, wants_dx=True)  # (m, n)
    return dA.T  # type: ignore[union-attr]  # there is one, since it is wanted


def _normalise(ops: Ops, a: Array, epsilon: float) -> Normalised:
    """Run the kernel of `nnx.BatchNorm` with scale 1 and offset 0, and running statistics that nobody reads."""
    check_number("epsilon", epsilon, 0, open_low=True)
    one, zero = _filled(ops, a, 1), _filled(ops, a, 0)
    return ops.batch_norm(a, one, zero, _filled(ops, a, 0), _filled(ops, a, 1), 0.0, epsilon)


def _filled(ops: Ops, a: Array, value: float) -> Array:
    filled = ops.empty(a.shape[1])
    filled[...] = value
    return filled
