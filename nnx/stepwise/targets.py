"""The answers Y, (classes, examples), checked against the outputs that they belong to."""

from __future__ import annotations

import numpy as np

from nnx.border import to_host
from nnx.errors import DataError, ShapeError
from nnx.interface import Array
from nnx.ops import Ops
from nnx.stepwise.arrays import ArrayLike, own_rows, rows, shape_of

Shape = tuple[int, ...]


def target_rows(Y: ArrayLike, outputs: Shape, ops: Ops) -> Array:
    """Return the answers for outputs (n_L, m) as kernels take them, (m, n_L).

    Raises:
        ShapeError: Y has another shape than the outputs.
    """
    _check_shape(Y, outputs, ops)
    return rows(Y, "Y", ops)


def own_target_rows(Y: ArrayLike, outputs: Shape, ops: Ops) -> Array:
    """Return `target_rows` that lie one behind the other in memory, and whose values are right as well.

    Raises:
        ShapeError: Y has another shape than the outputs.
        DataError: a value is not in [0, 1]; a column of several classes does not sum to 1.
    """
    _check_shape(Y, outputs, ops)
    _check_values(to_host(Y, "Y", ops))
    return own_rows(Y, "Y", ops)


def _check_shape(Y: ArrayLike, outputs: Shape, ops: Ops) -> None:
    shape = shape_of(Y, "Y", ops)
    if shape != outputs:
        kind = "one row, one column per example" if outputs[0] == 1 else "one row per class, one column per example"
        raise ShapeError(f"Y must have shape {outputs}, {kind}, got {shape}.{_hint(shape, outputs)}")


def _hint(shape: Shape, outputs: Shape) -> str:
    classes, examples = outputs
    if shape == (examples, classes):
        return " These look like examples x classes: pass Y.T."
    if shape in ((examples,), (1, examples), (examples, 1)):
        if classes == 1:
            return " Pass Y.reshape(1, -1)."
        return f" These look like labels: np.eye({classes})[np.ravel(Y)].T makes them one-hot."
    return ""


def _check_values(Y: ArrayLike) -> None:
    outside = ~((Y >= 0) & (Y <= 1))  # NaN too
    if outside.any():
        row, column = np.argwhere(outside)[0]
        hint = " With several classes, give Y a row for each of them." if len(Y) == 1 else ""
        raise DataError(f"Y must hold numbers from 0 to 1, column {column} holds {Y[row, column]:g}.{hint}")
    wrong = np.abs(Y.sum(axis=0, dtype=np.float64) - 1) > 1e-3  # room for shares that were rounded to three digits
    if len(Y) > 1 and wrong.any():
        column = int(np.argmax(wrong))
        raise DataError(
            f"each column of Y must be one-hot, or shares that sum to 1, column {column} sums to "
            f"{float(Y[:, column].sum()):g}."
        )
