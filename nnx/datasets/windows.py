"""From one long sequence to the many short ones that recurrent networks are trained on."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnx.checks import check_count
from nnx.errors import DataError, ShapeError


def windows(sequence: Any, length: int, stride: int = 1) -> tuple[NDArray[Any], NDArray[Any]]:
    """Cut a sequence into inputs and, as targets, what comes one step later.

    x[i] = sequence[i stride : i stride + length]; y[i] = sequence[i stride + 1 : i stride + 1 + length].

    A network that is to give the next element at every step is trained on y, one that gives it after the last
    step only on y[:, -1]. What is left at the end of the sequence is not used.

    Args:
        sequence: (M, ...) elements in order, of any type.
        length: steps of a window, at least 1.
        stride: from the beginning of a window to that of the next, at least 1; `length` for windows side by side.

    Returns: x and y (N, length, ...), N = (M - length - 1) // stride + 1, of the sequence's type.

    Raises:
        OptionError: length or stride is below 1.
        ShapeError: the sequence is a single number.
        DataError: it has fewer than length + 1 elements.

    Examples:
        >>> x, y = nnx.datasets.windows([1, 2, 3, 4, 5, 6], length=3, stride=2)
        >>> x.tolist(), y.tolist()
        ([[1, 2, 3], [3, 4, 5]], [[2, 3, 4], [4, 5, 6]])
    """
    array, steps, between = np.asarray(sequence), check_count("length", length), check_count("stride", stride)
    if array.ndim == 0:
        raise ShapeError("sequence must be (M, ...) elements in order, got a single number.")
    if len(array) <= steps:
        raise DataError(
            f"sequence must have more than length={steps} elements, for one window and what comes after it, "
            f"got {len(array)}; give a smaller length."
        )
    view = np.lib.stride_tricks.sliding_window_view(array, steps + 1, axis=0)[::between]  # (N, ..., length + 1)
    whole = np.moveaxis(view, -1, 1)  # (N, length + 1, ...)
    return whole[:, :-1].copy(), whole[:, 1:].copy()
