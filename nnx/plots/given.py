"""Checks of what users give to be drawn; each raises one sentence that names the argument."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnx.border import plain_array
from nnx.errors import DataError, OptionError, ShapeError
from nnx.registry import find_owner

Host = NDArray[Any]


def host_array(value: Any, argument: str) -> Host:
    """Return a numeric NumPy array of an array of any backend, or of nested lists.

    Raises:
        DataError, DtypeError, ShapeError: not numbers, masked, or not rectangular.
    """
    owner = None if isinstance(value, np.ndarray) else find_owner(value)
    return plain_array(value if owner is None else owner.to_numpy(value), argument)


def finite_array(value: Any, argument: str) -> Host:
    """Return a float64 array without NaN or infinity; raises as `host_array` does."""
    array = host_array(value, argument).astype(np.float64)
    if not array.size:
        raise DataError(f"{argument} must hold at least one number, got shape {array.shape}.")
    if not np.isfinite(array).all():
        raise DataError(f"{argument} must hold finite numbers, got NaN or infinity; leave such values out.")
    return array


def whole_numbers(value: Any, argument: str) -> Host:
    """Return an int64 array of whole numbers, whatever the type that holds them."""
    array = host_array(value, argument)
    if array.dtype.kind == "f" and not (np.isfinite(array) & (array == np.floor(array))).all():
        raise DataError(f"{argument} must hold whole numbers, got others among them.")
    return array.astype(np.int64)


def filled(value: Any, argument: str, inside: str) -> Mapping[Any, Any]:
    """Return a mapping that has entries; `inside` says which ones were expected."""
    if not isinstance(value, Mapping):
        raise OptionError(f"{argument} must be a mapping from {inside}, got {type(value).__name__}.")
    if not value:
        raise DataError(f"{argument} must map {inside}, got an empty mapping: there is nothing to draw.")
    return value


def class_names(classes: Any) -> list[str]:
    """Return the names of the classes as texts."""
    if isinstance(classes, str) or not isinstance(classes, Sequence | np.ndarray):
        raise OptionError(f"classes must be a sequence of names, got {type(classes).__name__}.")
    if not len(classes):
        raise DataError("classes must name at least one class, got none.")
    return [str(name) for name in classes]


def labels_of(value: Any, argument: str, classes: int, images: int) -> Host:
    """Return labels, one per image, (N,) int64 in 0..classes - 1.

    Raises:
        ShapeError, DataError, DtypeError: they are something else.
    """
    labels = whole_numbers(value, argument)
    if labels.shape != (images,):
        raise ShapeError(f"{argument} must have shape ({images},), one label per image, got {labels.shape}.")
    wrong = (labels < 0) | (labels >= classes)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise DataError(
            f"{argument} must be 0 to {classes - 1} for {classes} classes, got {labels[row]} in row {row}."
        )
    return labels
