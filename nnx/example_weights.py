"""How much each example, or each step of it, counts: weights of examples and of classes, checked and multiplied."""

from __future__ import annotations

import math
from collections.abc import Mapping
from numbers import Real
from typing import Any

import numpy as np

from nnx.border import Host, place, to_host
from nnx.errors import DataError, OptionError, ShapeError
from nnx.losses import Loss
from nnx.ops import Ops

Shape = tuple[int, ...]


def check_weights(
    sample_weight: Any, class_weight: Mapping[int, float] | None, targets: Host, steps: Shape, ops: Ops, y_name: str
) -> Host | None:
    """Return how much each step counts, (M, *steps) in the model's dtype; None where nothing is weighed.

    Args:
        sample_weight: (M,), spread over the steps, or (M, *steps).
        class_weight: by label, checked by `check_classes`.
        targets: as `check_targets` returns them.
        steps: the axes of the outputs between the first and the last.
        ops: of the model.
        y_name: what errors call the targets.

    Raises:
        ShapeError, DataError, DtypeError: they do not fit.
    """
    shape, weight = (targets.shape[0], *steps), None
    if sample_weight is not None:
        weight = _spread(to_host(sample_weight, "sample_weight", ops), shape)
        weight = _as_weight(weight, "sample_weight", ops)
    if class_weight is not None:
        by_class = _as_weight(_by_class(class_weight, targets, shape, y_name), "class_weight", ops)
        weight = by_class if weight is None else _product(weight, by_class, ops)
    return weight


def _spread(weight: Host, shape: Shape) -> Host:
    if weight.shape not in (shape[:1], shape):
        per_step = f" or {shape}" if len(shape) > 1 else ""
        raise ShapeError(f"sample_weight must have shape ({shape[0]},){per_step}, got {weight.shape}.")
    return np.broadcast_to(weight.reshape(*weight.shape, *(1,) * (len(shape) - weight.ndim)), shape)


def _as_weight(weight: Host, argument: str, ops: Ops) -> Host:
    with np.errstate(over="ignore"):
        converted = weight.astype(ops.dtype)
    bad = np.argwhere(~(np.isfinite(converted) & (converted >= 0)))
    if bad.size:
        where = tuple(bad[0])
        raise DataError(
            f"{argument} must hold finite numbers of at least 0 as {ops.dtype}, got {weight[where]:g} "
            f"for {place(where)}."
        )
    return converted


def _product(weight: Host, by_class: Host, ops: Ops) -> Host:
    with np.errstate(over="ignore"):
        product = weight * by_class
    return _as_weight(product, "sample_weight times class_weight", ops)


def check_classes(class_weight: Mapping[int, float], loss: Loss, outputs: int) -> None:
    """Refuse what cannot be a weight per class, and labels that no target could have.

    Raises:
        OptionError, DataError: it is not a mapping from labels of the loss to numbers of at least 0.
    """
    if not isinstance(class_weight, Mapping):
        raise OptionError(
            f"class_weight must map labels to numbers, such as {{0: 1.0, 1: 5.0}}, got {class_weight!r}."
        )
    if not all(isinstance(value, Real) and math.isfinite(value) and value >= 0 for value in class_weight.values()):
        raise DataError(f"class_weight must hold finite numbers of at least 0, got {dict(class_weight)}.")
    if loss.targets == "values":
        return  # any whole number may be a target
    classes = outputs if loss.targets == "labels" else 2
    unknown = [label for label in class_weight if label not in range(classes)]
    if unknown:
        raise DataError(
            f"class_weight may name the labels 0 to {classes - 1} of this model, got {unknown} besides."
        )


def _by_class(class_weight: Mapping[int, float], targets: Host, shape: Shape, y_name: str) -> Host:
    labels = targets if targets.ndim == len(shape) else targets[..., 0]
    if targets.size != labels.size or (labels != np.floor(labels)).any():
        raise DataError(f"class_weight needs integer labels, one per {'step' if len(shape) > 1 else 'example'}.")
    classes, index = np.unique(labels.astype(int), return_inverse=True)
    missing = [label for label in classes.tolist() if label not in class_weight]
    if missing:
        raise DataError(f"class_weight must name every class in {y_name}; {missing[0]} is missing.")
    factors = np.array([float(class_weight[label]) for label in classes.tolist()])
    return factors[index.reshape(shape)]
