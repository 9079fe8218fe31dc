"""The examples of a `fit`: how much each counts, which are set aside, how many make a step."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split
from sklearn.utils.validation import check_array

from nnx.errors import DataError, OptionError, ShapeError

Host = NDArray[Any]

_AUTO = 200
_FEWEST_VALIDATED = 2


@dataclass(frozen=True)
class Rows:
    """Checked examples: x (M, F), targets (M,) or (M, O), and weight (M,) or None for all ones."""

    x: Host
    targets: Host
    weight: Host | None

    def pick(self, index: Host) -> Rows:
        """Return the rows with these numbers."""
        return Rows(self.x[index], self.targets[index], None if self.weight is None else self.weight[index])


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
        raise DataError("sample_weight must hold a number above 0, but every weight is zero: nothing would count.")
    return weight


def scale(weight: Host | None, factor: float, count: int) -> tuple[Host | None, float]:
    """Return weights with the mean `factor`, None for all ones, and what their mean was."""
    if weight is None:
        return (None if factor == 1 else np.full(count, factor)), 1.0
    mean = float(weight.mean())
    return weight * (factor / mean), mean


def set_aside(rows: Rows, share: float, source: np.random.RandomState, stratified: bool) -> tuple[Rows, Rows]:
    """Return examples to train on and to validate on, drawn as scikit-learn draws them.

    Raises:
        OptionError: there are too few to validate on.
        DataError: none of those to train on counts.
    """
    train, held_out = train_test_split(
        np.arange(len(rows.x)),
        random_state=source,
        test_size=share,
        stratify=rows.targets if stratified else None,
    )
    if len(held_out) < _FEWEST_VALIDATED:
        raise OptionError(
            f"validation_fraction={share:g} of {len(rows.x)} examples leaves {len(held_out)} to validate on; at "
            f"least {_FEWEST_VALIDATED} are needed."
        )
    first, second = rows.pick(train), rows.pick(held_out)
    if any(part.weight is not None and not part.weight.any() for part in (first, second)):
        raise DataError(
            "sample_weight is zero for all the examples to train on or to validate on, as random_state draws them; "
            "set early_stopping=False, or leave the examples out that do not count."
        )
    return first, second


def steps_of(batch_size: int | None, count: int) -> int:
    """Return how many examples make a step, where there are so many of them; None is "auto"."""
    if batch_size is None:
        return min(_AUTO, count)
    if batch_size > count:
        warnings.warn(f"batch_size={batch_size} is more than the {count} examples, and cut to that.", stacklevel=4)
    return min(batch_size, count)
