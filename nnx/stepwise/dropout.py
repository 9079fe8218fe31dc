"""Dropout, and its gradient."""

from __future__ import annotations

from nnx.checks import check_count, check_number
from nnx.interface import Array
from nnx.random import check_seed, stream_of
from nnx.stepwise.arrays import ArrayLike, ops_for, rows


def apply_dropout(
    A: ArrayLike, keep_prob: float = 0.5, seed: int = 0, iteration: int = 0, layer: int = 1
) -> tuple[Array, Array]:
    """A D, where D is 0 for units that are dropped and 1 / keep_prob for those that are kept.

    Each unit of each example is kept with probability keep_prob. Divided by it, what is left adds up to as much as
    before on average, so that nothing needs to be scaled for prediction, where nothing is dropped.

    Args:
        A: (n, m) activations, in training.
        keep_prob: in (0, 1], rounded to a multiple of 2^-16; `nnx.Dropout` is given the rate, 1 - keep_prob.
        seed: 0 to 2^64 - 1.
        iteration: 0 in the first round of training, 1 in the next: each has another D.
        layer: tells the D of one layer from that of another. Layer number `layer` of an `nnx.Sequential` with that
            seed drops the same if it is `nnx.Dropout`.

    Returns:
        What is left (n, m), and the cache D (n, m) for `dropout_backward`.

    Raises:
        OptionError: an option is out of its range.
        ShapeError, DataError, DtypeError, BackendError: A is not a matrix of numbers with at least one column.
    Source: Srivastava et al. 2014.
    """
    ops = ops_for(A)
    a = rows(A, "A", ops)  # (m, n)
    kept = check_number("keep_prob", keep_prob, 0, 1, open_low=True, open_high=False)
    step, threshold = ops.asarray(check_count("iteration", iteration, 0), "int64"), max(round(kept * 65536), 1)
    stream = stream_of(f"{check_count('layer', layer, 0)}.mask")
    D = ops.like(a)
    D[...] = 1
    if threshold < 65536:
        D = ops.dropout(D, step, check_seed(seed), stream, threshold)
    return (a * D).T, D.T


def dropout_backward(dDA: ArrayLike, D: ArrayLike) -> Array:
    """dA = dDA D: the gradient of what `apply_dropout` left is let through where A was.

    Args:
        dDA: (n, m) the gradient of what was left.
        D: (n, m) from `apply_dropout`.

    Returns:
        dA (n, m).

    Raises:
        ShapeError, DataError, DtypeError, BackendError: the arrays do not go together.
    """
    ops = ops_for(D)
    d = rows(D, "D", ops)  # (m, n)
    return (rows(dDA, "dDA", ops, d.shape[1], d.shape[0]) * d).T
