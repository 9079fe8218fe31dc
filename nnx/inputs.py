"""The border between users' data and the device: everything is checked on the host once, then transferred."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnx.errors import BackendError, DataError, DtypeError, OptionError, ShapeError, UnknownNameError
from nnx.interface import Array
from nnx.losses import Loss
from nnx.ops import Ops
from nnx.registry import find_owner

Host = NDArray[Any]


@dataclass(frozen=True)
class Examples:
    """Checked examples on the host.

    Attributes:
        x: (M, *input shape) floating.
        targets: (M,) int64 labels, or (M, O) floating.
        weight: (M,) floating, or None for all ones.
    """

    x: Host
    targets: Host
    weight: Host | None

    def rows(self, index: NDArray[np.int64]) -> Examples:
        """Return the examples with these numbers."""
        weight = None if self.weight is None else self.weight[index]
        return Examples(self.x[index], self.targets[index], weight)


@dataclass(frozen=True)
class DeviceExamples:
    """The same on a device."""

    x: Array
    targets: Array
    weight: Array | None


def transfer(examples: Examples, ops: Ops) -> DeviceExamples:
    """Copy examples to the device, in the model's dtype."""
    labels = examples.targets.dtype == np.int64
    targets = ops.asarray(examples.targets, "int64" if labels else None)
    weight = None if examples.weight is None else ops.asarray(examples.weight)
    return DeviceExamples(ops.asarray(examples.x), targets, weight)


def to_host(value: Any, argument: str, ops: Ops) -> Host:
    """Return a numeric NumPy array of what a user passed: an array, nested lists, or an array of the backend.

    Raises:
        BackendError: an array of another backend.
        DataError: a masked array.
        DtypeError: not numbers.
        ShapeError: nested lists of unequal lengths.
    """
    _refuse_masks(value, argument)
    if not isinstance(value, np.ndarray) and ops.backend.owns(value):
        return ops.backend.to_numpy(value)
    owner = None if isinstance(value, np.ndarray) else find_owner(value)
    if owner is not None:
        raise BackendError(
            f"{argument} is an array of the backend {owner.name!r}, but the model runs on {ops.backend.name!r}. "
            f"Pass nnx.get_backend({owner.name!r}).to_numpy({argument}), or move the model with model.to(...)."
        )
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ShapeError(f"{argument} must be rectangular, got nested sequences of unequal lengths.") from error
    if array.dtype.kind not in "biuf":
        raise DtypeError(f"{argument} must hold real numbers, got dtype {array.dtype}.")
    return array


def _refuse_masks(value: Any, argument: str) -> None:
    for part in (value, *(value if isinstance(value, list | tuple) else ())):
        if isinstance(part, np.ma.MaskedArray):
            raise DataError(
                f"{argument} is a masked array, but nnx would use the masked elements like all others; "
                "replace them by .filled(value), or leave their rows out."
            )


def check_x(x: Any, input_shape: tuple[int, ...] | None, ops: Ops, argument: str = "x") -> Host:
    """Return inputs (M, *input_shape) as a floating array.

    Raises:
        ShapeError: another shape per example; the batch axis is missing.
        DataError: NaN or infinity among them.
    """
    array = to_host(x, argument, ops)
    if array.ndim == 0:
        raise ShapeError(f"{argument} must have a batch axis first, got a single number.")
    if input_shape is not None and array.shape[1:] != input_shape:
        hint = f" For a single example, add the batch axis: {argument}[None]." if array.shape == input_shape else ""
        expected = ", ".join(map(str, ("N", *input_shape)))
        raise ShapeError(f"{argument} must have shape ({expected}), got {array.shape}.{hint}")
    with np.errstate(over="ignore"):  # what overflows in the model's dtype is found below
        converted = array.astype(ops.dtype, copy=False)
    _finite(converted, argument)
    return converted


def check_weight(name: str, values: Any, held: Mapping[str, Array], ops: Ops) -> Host:
    """Return new values for one of the arrays that a model holds.

    Raises:
        UnknownNameError, ShapeError, DataError, DtypeError: they do not fit.
    """
    if name not in held:
        raise UnknownNameError("weight", name, held)
    array, shape = to_host(values, f"weight {name!r}", ops), tuple(held[name].shape)
    if array.shape != shape:
        raise ShapeError(f"weight {name!r} must have shape {shape}, got {array.shape}.")
    with np.errstate(over="ignore"):
        converted = array.astype(ops.dtype)
    _finite(converted, f"weight {name!r}")
    return converted


def check_examples(
    x: Any,
    y: Any,
    sample_weight: Any,
    class_weight: Mapping[int, float] | None,
    loss: Loss,
    input_shape: tuple[int, ...] | None,
    outputs: int,
    ops: Ops,
    x_name: str = "x",
    y_name: str = "y",
) -> Examples:
    """Check inputs, targets and weights together; errors call the first two by the names given.

    Raises:
        DataError, DtypeError, ShapeError, BackendError: one of them is not what the model and the loss take.
    """
    inputs = check_x(x, input_shape, ops, x_name)
    rows = inputs.shape[0]
    if rows == 0:
        raise DataError(f"{x_name} holds no examples; training and evaluation need at least one.")
    given = to_host(y, y_name, ops)
    if given.ndim == 0 or given.shape[0] != rows:
        raise ShapeError(f"{y_name} must have one row per example of {x_name} ({rows}), got shape {given.shape}.")
    _finite(given, y_name)
    with np.errstate(over="ignore"):
        targets = _TARGETS[loss.targets](given, outputs, ops.dtype, y_name)
    _finite(targets, y_name)
    if class_weight is not None:
        _check_classes(class_weight, loss, outputs)
    weight = _weights(sample_weight, class_weight, targets, ops, y_name)
    return Examples(inputs, targets, weight)


def _finite(array: Host, argument: str) -> None:
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        row = int(np.argwhere(~np.isfinite(array))[0][0])
        raise DataError(
            f"{argument} holds NaN or infinity as {array.dtype}, first in row {row}; replace or remove such values."
        )


def _labels(y: Host, outputs: int, dtype: str, name: str) -> Host:
    if y.ndim == 2 and y.shape[1] == outputs and outputs > 1:
        return _distributions(y, dtype, name)
    if y.size != y.shape[0]:
        raise ShapeError(f"{name} must be labels (N,) or distributions (N, {outputs}), got shape {y.shape}.")
    y = y.reshape(-1)
    if y.dtype.kind == "f" and (y != np.floor(y)).any():
        raise DataError(f"labels {name} must be whole numbers, got {y[y != np.floor(y)][0]:g}.")
    low, high = float(y.min()), float(y.max())
    if low < 0 or high >= outputs:
        raise DataError(
            f"labels {name} must be 0 to {outputs - 1} for a model with {outputs} outputs, "
            f"got {low:g} to {high:g}. Give the last layer one unit per class."
        )
    return y.astype(np.int64)


def _distributions(y: Host, dtype: str, name: str) -> Host:
    negative = np.argwhere(y < 0)
    if negative.size:
        row, column = negative[0]
        raise DataError(
            f"each row of {name} must be a distribution, of shares of at least 0, "
            f"row {row} holds {y[row, column]:g}."
        )
    sums = y.sum(axis=1, dtype=np.float64)
    if (np.abs(sums - 1) > 1e-3).any():
        row = int(np.argmax(np.abs(sums - 1)))
        raise DataError(
            f"each row of {name} must be a distribution that sums to 1, row {row} sums to {sums[row]:g}."
        )
    return y.astype(dtype)


def _values(y: Host, outputs: int, dtype: str, name: str) -> Host:
    if y.ndim == 1 and outputs == 1:
        y = y[:, None]
    if y.shape[1:] != (outputs,):
        raise ShapeError(f"{name} must have shape (N, {outputs}) like the model's outputs, got {y.shape}.")
    return y.astype(dtype)


def _binary(y: Host, outputs: int, dtype: str, name: str) -> Host:
    targets = _values(y, outputs, dtype, name)
    if targets.min() < 0 or targets.max() > 1:
        raise DataError(
            f"{name} must lie between 0 and 1 for this loss, got {targets.min():g} to {targets.max():g}."
        )
    return targets


_TARGETS = {"labels": _labels, "binary": _binary, "values": _values}


def _weights(
    sample_weight: Any, class_weight: Mapping[int, float] | None, targets: Host, ops: Ops, y_name: str
) -> Host | None:
    """Return how much each example counts, in the model's dtype."""
    rows, weight = targets.shape[0], None
    if sample_weight is not None:
        weight = to_host(sample_weight, "sample_weight", ops)
        if weight.shape != (rows,):
            raise ShapeError(f"sample_weight must have shape ({rows},), got {weight.shape}.")
        weight = _as_weight(weight, "sample_weight", ops)
    if class_weight is not None:
        by_class = _as_weight(_class_weights(class_weight, targets, y_name), "class_weight", ops)
        weight = by_class if weight is None else _product(weight, by_class, ops)
    return weight


def _as_weight(weight: Host, argument: str, ops: Ops) -> Host:
    with np.errstate(over="ignore"):
        converted = weight.astype(ops.dtype)
    bad = ~(np.isfinite(converted) & (converted >= 0))
    if bad.any():
        row = int(np.argmax(bad))
        raise DataError(
            f"{argument} must hold finite numbers of at least 0 as {ops.dtype}, got {weight[row]:g} for row {row}."
        )
    return converted


def _product(weight: Host, by_class: Host, ops: Ops) -> Host:
    with np.errstate(over="ignore"):
        product = weight * by_class
    return _as_weight(product, "sample_weight times class_weight", ops)


def _check_classes(class_weight: Mapping[int, float], loss: Loss, outputs: int) -> None:
    """Refuse what cannot be a weight per class, and labels that no target could have."""
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


def _class_weights(class_weight: Mapping[int, float], targets: Host, y_name: str) -> Host:
    labels = targets if targets.ndim == 1 else targets[:, 0]
    if targets.ndim == 2 and (targets.shape[1] > 1 or (labels != np.floor(labels)).any()):
        raise DataError("class_weight needs integer labels, one per example.")
    classes, place = np.unique(labels.astype(int), return_inverse=True)
    missing = [label for label in classes.tolist() if label not in class_weight]
    if missing:
        raise DataError(f"class_weight must name every class in {y_name}; {missing[0]} is missing.")
    factors = np.array([float(class_weight[label]) for label in classes.tolist()])
    return factors[place.reshape(-1)]
