"""Class labels of any type, and the whole numbers that networks take for them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.preprocessing import LabelEncoder
from sklearn.utils import column_or_1d
from sklearn.utils.multiclass import check_classification_targets, type_of_target

from nnx.errors import DataError, DtypeError

Host = NDArray[Any]

MULTILABEL = "multilabel-indicator"


def check_labels(y: Host) -> tuple[Host, bool]:
    """Return labels (M,), or an indicator (M, O) of 0 and 1, and whether they are the latter.

    Raises:
        ValueError: they are no labels.
        DtypeError: they are of several types that have no order among them.
        DataError: several labels per example that are no indicator.
    """
    y = column_or_1d(y, warn=True) if y.ndim == 2 and y.shape[1] == 1 else y
    with _named(y):
        check_classification_targets(y)
    if y.ndim == 1:
        return y, False
    kind = type_of_target(y)
    if kind != MULTILABEL:
        raise DataError(
            "y must hold one label per row, or 0 and 1 for each of several labels that a row may have, got several "
            f"labels per row ({kind}); sklearn.multioutput.MultiOutputClassifier trains one network for each."
        )
    return y, True


def find_classes(y: Host) -> Host:
    """Return all labels that occur, sorted, each once.

    Raises:
        DtypeError: they are of several types that have no order among them.
    """
    with _named(y):
        classes: Host = LabelEncoder().fit(y).classes_
    return classes


@contextmanager
def _named(y: Host) -> Iterator[None]:
    """Name the types of labels if the block finds no order among them."""
    try:
        yield
    except TypeError as error:
        kinds = sorted({type(label).__name__ for label in y.ravel().tolist()})
        if len(kinds) < 2:
            raise
        raise DtypeError(
            f"y must hold labels of one type, all texts or all numbers, got {', '.join(kinds)}; convert them, by "
            ".astype(str), say."
        ) from error


def encode(y: Host, classes: Host) -> NDArray[np.int64]:
    """Return the place of each label among the classes.

    Raises:
        DataError: a label is none of them.
    """
    unknown = sorted(set(np.unique(y).tolist()) - set(classes.tolist()), key=str)
    if unknown:
        raise DataError(
            f"y has labels that are not among the classes: {', '.join(map(repr, unknown))}. The classes are "
            f"{', '.join(map(repr, classes.tolist()))}."
        )
    places: NDArray[np.int64] = np.searchsorted(classes, y).astype(np.int64)
    return places
