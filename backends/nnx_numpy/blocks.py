"""What many kernels are made of: loops over blocks, and sums as products with ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from nnx_numpy.plan import Plan
from nnx_numpy.workspace import BLOCK, Numbers, row_blocks

NARROW = 32
"""Columns up to which NumPy spends more time between the rows of a broadcast than spreading the vector takes."""


def by_blocks(plan: Plan, part: Callable[..., None], arrays: tuple[Numbers, ...], *attributes: Any) -> None:
    """Flatten the arrays and call part(plan, *blocks, *attributes) on one block of them after another."""
    flat = [plan.flat(f"flat {index}", array) for index, array in enumerate(arrays)]
    for start in range(0, flat[0].size, BLOCK):
        part(plan, *[array[start : start + BLOCK] for array in flat], *attributes)


def broadcast(plan: Plan, ufunc: np.ufunc, matrix: Numbers, vector: Numbers, out: Numbers) -> None:
    """out = ufunc(matrix, vector), the vector being a row (C,) or a column (n, 1).

    On a narrow matrix the vector is spread first, as a product with ones: exact, since it adds nothing up.
    """
    rows, columns = matrix.shape
    if 1 < columns <= NARROW:
        spread = plan.like("spread", matrix)
        if vector.ndim == 1:
            plan(plan.filled(1.0, rows, matrix.dtype).reshape(rows, 1).dot, vector[None, :], spread)
        else:
            plan(vector.dot, plan.filled(1.0, columns, matrix.dtype).reshape(1, columns), spread)
        vector = spread
    plan(ufunc, matrix, vector, out)


def as_rows(plan: Plan, vector: Numbers, rows: int) -> Numbers:
    """Return what adding `vector` to so many rows is fastest with: as many rows in scratch if narrow, else one."""
    columns = vector.shape[0]
    if not 1 < columns <= NARROW:
        return vector[None]
    spread = plan.take("rows of a vector", (rows, columns), vector.dtype)
    plan(plan.filled(1.0, rows, vector.dtype).reshape(rows, 1).dot, vector[None], spread)
    return spread


def column_sums(plan: Plan, matrix: Numbers, out: Numbers, weight: float = 1.0) -> None:
    """out = weight times the sum over rows, by blocks.

    By blocks the sums are more accurate, and too short for BLAS to wait until its threads have woken up.
    """
    for rows in row_blocks(*matrix.shape):
        add_column_sums(plan, matrix[rows], out, rows.start == 0, weight)


def add_column_sums(plan: Plan, block: Numbers, out: Numbers, first: bool, weight: float = 1.0) -> None:
    """out = (0 if this is the first block, else out) + weight times the sum over rows.

    As a product with a constant vector: faster than `numpy.add.reduce`, most so if narrow.
    """
    weights = plan.filled(weight, block.shape[0], block.dtype)
    if first:
        plan(weights.dot, block, out)  # (n,) @ (n, C) -> (C,)
        return
    partial = plan.like("partial sum", out)
    plan(weights.dot, block, partial)
    plan(np.add, out, partial, out)


def row_sums(plan: Plan, matrix: Numbers, out: Numbers, weight: float = 1.0) -> None:
    """out = weight times the sum over columns, as a product with a constant vector."""
    plan(matrix.dot, plan.filled(weight, matrix.shape[1], matrix.dtype), out)  # (n, C) @ (C,) -> (n,)
