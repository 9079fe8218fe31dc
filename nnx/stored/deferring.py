"""From datasets that users give to examples that are read and checked as they are needed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from nnx.border import Host
from nnx.errors import ShapeError
from nnx.example_weights import check_weights
from nnx.inputs import Examples, Intake, Names
from nnx.stored.examples import StoredExamples
from nnx.stored.source import Source


def defer(
    intake: Intake,
    check_inputs: Callable[[Host], Host],
    x: Source,
    y: Source,
    sample_weight: Any,
    class_weight: Mapping[int, float] | None,
    lengths: Host | None,
    names: Names,
) -> StoredExamples:
    """Check what can be told without reading all of it: shapes, dtypes, weights, and the first example.

    Args:
        intake: what the model and its loss take.
        check_inputs: returns inputs, checked.
        x: where inputs are read.
        y: where targets are read.
        sample_weight: as in `Sequential.fit`; held in memory.
        class_weight: as in `Sequential.fit`.
        lengths: (M,) int64, checked, or None.
        names: what errors call them.

    Raises:
        DataError, DtypeError, ShapeError, BackendError: they are not what the model takes.
        StorageError: a dataset cannot be read.
    """
    count, steps = x.shape[0], intake.output_shape[:-1]
    intake.check_counts(x.shape, y.shape, names)
    weight = None
    if sample_weight is not None:
        weight = check_weights(sample_weight, None, np.empty((count, 0)), steps, intake.ops, names.y)
    stretch = None
    if lengths is not None and intake.steps_last:
        stretch = count * steps[0] / int(lengths.sum())

    def check(inputs: Host, targets: Host, weights: Host | None, counts: Host | None) -> Examples:
        examples = intake.check(inputs, targets, weights, class_weight, counts, names)
        return replace(examples, stretch=stretch)

    stored = StoredExamples(x, y, check_inputs, check, weight, lengths, stretch)
    _check_first(stored, y.shape)
    return stored


def _check_first(stored: StoredExamples, shape: tuple[int, ...]) -> None:
    """Check the first example as one of all, whose shape errors are to name."""
    try:
        stored.first()
    except ShapeError:
        rows = stored.y.read([(0, 1)], stored.y.room(1))
        x = np.zeros((1,) * len(stored.x.shape), stored.x.dtype)
        stored.check(
            np.broadcast_to(x, stored.x.shape), np.broadcast_to(rows, shape), stored.weight, stored.lengths
        )
        raise
