"""Targets as each kind of loss takes them, checked against the shape of the model's outputs.

Outputs are (N, O), or (N, *steps, O): sequences with one output per step, images with one per pixel.
"""

from __future__ import annotations

import math

import numpy as np

from nnx.border import Host, as_dtype, batch_of, place
from nnx.errors import DataError, ShapeError

Shape = tuple[int, ...]


def check_targets(kind: str, y: Host, shape: Shape, dtype: str, name: str, lost_steps: int | None = None) -> Host:
    """Return targets for outputs (N, *shape): int64 labels (N, *steps), or floating (N, *shape).

    Args:
        kind: what `Loss.targets` says.
        y: (N, ...), finite.
        shape: of the outputs of one example.
        dtype: of the model.
        name: what errors call y.
        lost_steps: how many steps the inputs have, if the model keeps only the last states of them.

    Raises:
        ShapeError, DataError: y is not what a loss with targets of that kind takes.
    """
    return _CHECKS[kind](y, shape, dtype, name, lost_steps)


def _labels(y: Host, shape: Shape, dtype: str, name: str, lost_steps: int | None) -> Host:
    outputs, steps = shape[-1], shape[:-1]
    if y.shape[1:] == shape and outputs > 1:
        return _distributions(y, dtype, name)
    if y.size != y.shape[0] * math.prod(steps) or (steps and y.shape[1:] not in (steps, (*steps, 1))):
        raise ShapeError(
            f"{name} must be labels {batch_of(steps)} or distributions {batch_of(shape)}, got shape {y.shape}."
            f"{_hint(y, steps, lost_steps)}"
        )
    y = y.reshape(y.shape[0], *steps)
    if y.dtype.kind == "f" and (y != np.floor(y)).any():
        where = _first(y != np.floor(y))
        raise DataError(f"labels {name} must be whole numbers, got {y[where]:g} in {place(where)}.")
    low, high = float(y.min()), float(y.max())
    if low < 0 or high >= outputs:
        advice = "Give the last layer one unit per class." if low >= 0 else "Number the classes from 0 on."
        raise DataError(
            f"labels {name} must be 0 to {outputs - 1} for a model with {outputs} outputs, "
            f"got {low:g} to {high:g}, the first wrong one in {place(_first((y < 0) | (y >= outputs)))}. {advice}"
        )
    return y.astype(np.int64)


def _first(wrong: Host) -> tuple[int, ...]:
    """Return the index of the first element that is true."""
    return tuple(np.argwhere(wrong)[0].tolist())


def _hint(y: Host, steps: Shape, lost_steps: int | None) -> str:
    if not steps and lost_steps is not None and y.shape[1:2] == (lost_steps,):
        return (
            f" The model gives one output per example; for a target in each of the {lost_steps} steps, set "
            "return_sequences=True in its last recurrent layer."
        )
    if not steps or y.size != y.shape[0]:
        return ""
    return (
        " The model gives outputs for every step; for one target per example, end it in one output per example "
        "(return_sequences=False, global pooling or Flatten())."
    )


def _distributions(y: Host, dtype: str, name: str) -> Host:
    if (y < 0).any():
        where = _first(y < 0)
        raise DataError(
            f"each row of {name} must be a distribution, of shares of at least 0, "
            f"{place(where[:-1])} holds {y[where]:g}."
        )
    sums = y.sum(axis=-1, dtype=np.float64)
    wrong = np.abs(sums - 1)
    if (wrong > 1e-3).any():
        worst = np.unravel_index(int(np.argmax(wrong)), wrong.shape)
        raise DataError(
            f"each row of {name} must be a distribution that sums to 1, {place(worst)} sums to {sums[worst]:g}."
        )
    return as_dtype(y, dtype, name)


def _values(y: Host, shape: Shape, dtype: str, name: str, lost_steps: int | None) -> Host:
    if y.shape[1:] == shape[:-1] and shape[-1] == 1:
        y = y[..., None]
    if y.shape[1:] != shape:
        raise ShapeError(
            f"{name} must have shape {batch_of(shape)} like the model's outputs, got {y.shape}."
            f"{_hint(y, shape[:-1], lost_steps)}"
        )
    return as_dtype(y, dtype, name)


def _binary(y: Host, shape: Shape, dtype: str, name: str, lost_steps: int | None) -> Host:
    targets = _values(y, shape, dtype, name, lost_steps)
    if targets.min() < 0 or targets.max() > 1:
        where = _first((targets < 0) | (targets > 1))
        raise DataError(
            f"{name} must lie between 0 and 1 for this loss, got {targets.min():g} to {targets.max():g}, the first "
            f"wrong one in {place(where[:-1])}."
        )
    return targets


_CHECKS = {"labels": _labels, "binary": _binary, "values": _values}


def real_steps(lengths: Host, steps: Shape) -> Host:
    """Return which steps are real, (M, *steps) bool: those before the length along the first of their axes."""
    real = np.arange(steps[0]) < lengths[:, None]  # (M, T)
    return np.broadcast_to(real.reshape(*real.shape, *(1,) * (len(steps) - 1)), (len(lengths), *steps))


def fill_padding(y: Host, real: Host) -> Host:
    """Repeat each sequence's first target in its padding, where anything may stand, so that checks pass over it."""
    if y.shape[: real.ndim] != real.shape:
        return y
    return np.where(real.reshape(*real.shape, *(1,) * (y.ndim - real.ndim)), y, y[:, :1])


def mark_padding(kind: str, targets: Host, real: Host) -> tuple[Host, Host | None]:
    """Return targets and marks that keep padding out of the count of correct answers; see `Loss.count_correct`.

    Labels are marked by a copy of them with -1 in the padding, which is no class. Binary targets are 1 there, and
    the marks, to be added to the logits, are -infinity there and 0 elsewhere: a sum that is never above 0 is
    never right.
    """
    if kind == "labels":
        labels = targets if targets.ndim == real.ndim else targets.argmax(axis=-1)
        return targets, np.where(real, labels, -1)
    if kind == "binary":
        targets = np.where(real[..., None], targets, targets.dtype.type(1))
        return targets, np.where(real[..., None], np.zeros_like(targets), targets.dtype.type(-np.inf))
    return targets, None
