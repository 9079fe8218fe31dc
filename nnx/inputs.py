"""The border between users' data and the device: everything is checked on the host once, then transferred."""

from __future__ import annotations

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
        DtypeError: not numbers.
        ShapeError: nested lists of unequal lengths.
    """
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
        hint = " For a single example, add the batch axis: x[None]." if array.shape == input_shape else ""
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
) -> Examples:
    """Check inputs, targets and weights together.

    Raises:
        DataError, DtypeError, ShapeError, BackendError: one of them is not what the model and the loss take.
    """
    inputs = check_x(x, input_shape, ops)
    if inputs.shape[0] == 0:
        raise DataError("x holds no examples; training and evaluation need at least one.")
    given = to_host(y, "y", ops)
    if given.ndim == 0 or given.shape[0] != inputs.shape[0]:
        raise ShapeError(f"y must have one row per example of x ({inputs.shape[0]}), got shape {given.shape}.")
    _finite(given, "y")
    with np.errstate(over="ignore"):
        targets = _TARGETS[loss.targets](given, outputs, ops.dtype)
    _finite(targets, "y")
    weight = _weights(sample_weight, class_weight, targets, ops)
    return Examples(inputs, targets, weight)


def _finite(array: Host, argument: str) -> None:
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        row = int(np.argwhere(~np.isfinite(array))[0][0])
        raise DataError(
            f"{argument} holds NaN or infinity as {array.dtype}, first in row {row}; replace or remove such values."
        )


def _labels(y: Host, outputs: int, dtype: str) -> Host:
    if y.ndim == 2 and y.shape[1] == outputs and outputs > 1:
        return _distributions(y, dtype)
    if y.size != y.shape[0]:
        raise ShapeError(f"y must be labels (N,) or distributions (N, {outputs}), got shape {y.shape}.")
    y = y.reshape(-1)
    if y.dtype.kind == "f" and (y != np.floor(y)).any():
        raise DataError(f"labels y must be whole numbers, got {y[y != np.floor(y)][0]:g}.")
    low, high = float(y.min()), float(y.max())
    if low < 0 or high >= outputs:
        raise DataError(
            f"labels y must be 0 to {outputs - 1} for a model with {outputs} outputs, got {low:g} to {high:g}. "
            "Give the last layer one unit per class."
        )
    return y.astype(np.int64)


def _distributions(y: Host, dtype: str) -> Host:
    sums = y.sum(axis=1, dtype=np.float64)
    if (y < 0).any() or (np.abs(sums - 1) > 1e-3).any():
        row = int(np.argmax(np.abs(sums - 1)))
        raise DataError(f"each row of y must be a distribution that sums to 1, row {row} sums to {sums[row]:g}.")
    return y.astype(dtype)


def _values(y: Host, outputs: int, dtype: str) -> Host:
    if y.ndim == 1 and outputs == 1:
        y = y[:, None]
    if y.shape[1:] != (outputs,):
        raise ShapeError(f"y must have shape (N, {outputs}) like the model's outputs, got {y.shape}.")
    return y.astype(dtype)


def _binary(y: Host, outputs: int, dtype: str) -> Host:
    targets = _values(y, outputs, dtype)
    if targets.min() < 0 or targets.max() > 1:
        raise DataError(f"y must lie between 0 and 1 for this loss, got {targets.min():g} to {targets.max():g}.")
    return targets


_TARGETS = {"labels": _labels, "binary": _binary, "values": _values}


def _weights(sample_weight: Any, class_weight: Mapping[int, float] | None, targets: Host, ops: Ops) -> Host | None:
    rows = targets.shape[0]
    weight = None
    if sample_weight is not None:
        weight = to_host(sample_weight, "sample_weight", ops).astype(np.float64)
        if weight.shape != (rows,):
            raise ShapeError(f"sample_weight must have shape ({rows},), got {weight.shape}.")
        if not np.isfinite(weight).all() or (weight < 0).any():
            raise DataError("sample_weight must hold finite numbers of at least 0.")
    if class_weight is not None:
        by_class = _class_weights(class_weight, targets)
        weight = by_class if weight is None else weight * by_class
    return weight


def _class_weights(class_weight: Mapping[int, float], targets: Host) -> Host:
    if not isinstance(class_weight, Mapping):
        raise OptionError(
            f"class_weight must map labels to numbers, such as {{0: 1.0, 1: 5.0}}, got {class_weight!r}."
        )
    labels = targets if targets.ndim == 1 else targets[:, 0]
    if targets.ndim == 2 and (targets.shape[1] > 1 or (labels != np.floor(labels)).any()):
        raise DataError("class_weight needs integer labels, one per example.")
    missing = sorted(set(np.unique(labels).astype(int).tolist()) - set(class_weight))
    if missing:
        raise DataError(f"class_weight must name every class in y; {missing[0]} is missing.")
    if not all(isinstance(value, Real) and np.isfinite(value) and value >= 0 for value in class_weight.values()):
        raise DataError(f"class_weight must hold finite numbers of at least 0, got {dict(class_weight)}.")
    classes, place = np.unique(labels.astype(int), return_inverse=True)
    factors = np.array([float(class_weight[int(label)]) for label in classes])
    return factors[place.reshape(-1)]
