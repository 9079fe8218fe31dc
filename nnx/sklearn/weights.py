"""How much each example counts, as scikit-learn gives it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_array

from nnx.errors import DataError, ShapeError


def check_weights(sample_weight: Any, count: int) -> NDArray[np.float64] | None:
    """Return weights (count,), or None for all ones.

    Raises:
        ShapeError, DataError: another shape, something negative, or nothing that counts.
    """
    if sample_weight is None:
        return None
    weight: NDArray[np.float64] = check_array(
        sample_weight, dtype=np.float64, ensure_2d=False, allow_nd=True, input_name="sample_weight"
    )
    if weight.shape != (count,):
        raise ShapeError(f"sample_weight must have shape ({count},), one per row of X, got {weight.shape}.")
    if weight.min() < 0:
        raise DataError(f"sample_weight must hold numbers of at least 0, got {weight.min():g}.")
    if not weight.any():
        raise DataError("sample_weight must hold a number above 0, but every weight is zero, so that nothing counts.")
    return weight
