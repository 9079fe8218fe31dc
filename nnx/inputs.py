"""Examples to train on or to measure: checked together on the host, then transferred to the device."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nnx import random
from nnx.border import Host, check_finite, to_host
from nnx.errors import DataError, ShapeError
from nnx.example_weights import check_classes, check_weights
from nnx.interface import Array
from nnx.losses import Loss
from nnx.ops import Ops
from nnx.targets import check_targets, fill_padding, mark_padding, real_steps


@dataclass(frozen=True)
class Examples:
    """Checked examples on the host.

    Attributes:
        x: (M, *input shape) floating, or int64 tokens.
        targets: (M, *steps) int64 labels, or (M, *steps, O) floating.
        weight: (M, *steps) floating, or None for all ones.
        lengths: (M,) int64, how many steps of each sequence are real, or None for all.
        real: (M, *steps) bool, which steps of the outputs are real, or None for all.
        marks: what keeps padding out of accuracy, see `Loss.count_correct`; None where all steps are real.
        steps: the axes of the outputs between the first and the last.
        stretch: (all steps) / (real steps) of all examples together, where these are only some of them.
    """

    x: Host
    targets: Host
    weight: Host | None = None
    lengths: Host | None = None
    real: Host | None = None
    marks: Host | None = None
    steps: tuple[int, ...] = ()
    stretch: float | None = None

    @property
    def count(self) -> int:
        """The number of examples."""
        return int(self.x.shape[0])

    @property
    def padded(self) -> bool:
        """Whether some steps of the outputs may be padding."""
        return self.real is not None

    def rows(self, index: NDArray[np.int64]) -> Examples:
        """Return the examples with these numbers."""
        weight, lengths, real, marks = (
            None if part is None else part[index] for part in (self.weight, self.lengths, self.real, self.marks)
        )
        return Examples(self.x[index], self.targets[index], weight, lengths, real, marks, self.steps)

    def real_outputs(self) -> NDArray[np.int64] | int:
        """Return how many steps of an output count, 1 if it has none; (M,), one per example, where they differ."""
        if self.real is None:
            return math.prod(self.steps)
        counts: NDArray[np.int64] = self.real.reshape(len(self.real), -1).sum(axis=1)
        return counts

    def step_weight(self) -> Host | None:
        """Return how much each step counts, (M, *steps): 0 in the padding, and the rest the more for it.

        The factor is (all steps) / (real steps) over all these examples together. The loss of a batch is a mean
        over all its steps, so that the mean of all batches, each weighed by its examples, is the mean over the
        real steps; a step counts the same whatever batch it comes in.
        """
        if self.real is None:
            return self.weight
        stretch = self.real.size / np.count_nonzero(self.real) if self.stretch is None else self.stretch
        share: Host = np.where(self.real, stretch, 0.0)
        return share if self.weight is None else share * self.weight


def split(examples: Examples, share: float, seed: int) -> tuple[Examples, Examples]:
    """Set a share of the examples aside, drawn by the seed.

    Raises:
        DataError: one of the two parts would be empty.
    """
    count = examples.x.shape[0]
    held_out = round(count * share)
    if not 0 < held_out < count:
        raise DataError(
            f"validation_split={share:g} of {count} examples leaves {count - held_out} to train on "
            f"and {held_out} to validate on; both must be at least 1."
        )
    order = random.permutation(count, seed, random.stream_of("validation_split"))
    return examples.rows(np.sort(order[held_out:])), examples.rows(np.sort(order[:held_out]))


class DeviceExamples(NamedTuple):
    """The same on a device; weights are those of `Examples.step_weight`."""

    x: Array
    targets: Array
    weight: Array | None
    lengths: Array | None
    marks: Array | None


def transfer(examples: Examples, ops: Ops) -> DeviceExamples:
    """Copy examples to the device: whole numbers as int64, all others in the model's dtype."""
    return DeviceExamples(*(None if part is None else send(part, ops) for part in host_parts(examples)))


def host_parts(examples: Examples) -> tuple[Host, Host, Host | None, Host | None, Host | None]:
    """Return what `DeviceExamples` are made of, in their order."""
    return examples.x, examples.targets, examples.step_weight(), examples.lengths, examples.marks


def send(array: Host, ops: Ops) -> Array:
    """Copy an array to the device: int64 as it is, all others in the model's dtype."""
    return ops.asarray(array, "int64" if array.dtype == np.int64 else None)


class Names(NamedTuple):
    """What errors call the arguments."""

    x: str = "x"
    y: str = "y"
    lengths: str = "lengths"


NAMES = Names()


@dataclass(frozen=True)
class Intake:
    """What a model and its loss take, for inputs of one shape.

    Attributes:
        loss, ops: of the model.
        output_shape: of the model for these inputs.
        steps_last: whether the first axis of an output holds the steps of the inputs.
        lost_steps: how many steps the inputs have, if a recurrent layer leaves only its last states of them.
    """

    loss: Loss
    ops: Ops
    output_shape: tuple[int, ...]
    steps_last: bool
    lost_steps: int | None

    def check(
        self,
        x: Host,
        y: Any,
        sample_weight: Any,
        class_weight: Mapping[int, float] | None,
        lengths: Host | None,
        names: Names,
    ) -> Examples:
        """Check targets and weights, for inputs and lengths that have been checked.

        Raises:
            DataError, DtypeError, ShapeError, BackendError: one of them is not what the model and the loss take.
        """
        given = to_host(y, names.y, self.ops)
        self.check_counts(x.shape, given.shape, names)
        steps = self.output_shape[:-1]
        real = real_steps(lengths, steps) if lengths is not None and self.steps_last else None
        targets = self._check_targets(given, real, names)
        if class_weight is not None:
            check_classes(class_weight, self.loss, self.output_shape[-1])
        weight = check_weights(sample_weight, class_weight, targets, steps, self.ops, names.y)
        targets, marks = (targets, None) if real is None else mark_padding(self.loss.targets, targets, real)
        return Examples(x, targets, weight, lengths, real, marks, steps)

    def check_counts(self, x: tuple[int, ...], y: tuple[int, ...], names: Names) -> None:
        """Check that there are examples, as many of y as of x, by their shapes.

        Raises:
            DataError, ShapeError: there are not.
        """
        if x[0] == 0:
            raise DataError(f"{names.x} holds no examples; training and evaluation need at least one.")
        if not self.output_shape:
            raise ShapeError(
                "A loss needs outputs of shape (N, outputs), got (N,). Add an axis of features to the inputs, such "
                f"as by {names.x}[:, None]."
            )
        if not y or y[0] != x[0]:
            raise ShapeError(
                f"{names.y} must have one row per example of {names.x} ({x[0]}), got shape {y}."
                f"{_hint_at_turned(x, y, names)}"
            )

    def _check_targets(self, given: Host, real: Host | None, names: Names) -> Host:
        if real is not None:
            given = fill_padding(given, real)
        check_finite(given, names.y)
        return check_targets(self.loss.targets, given, self.output_shape, self.ops.dtype, names.y, self.lost_steps)


def _hint_at_turned(x: tuple[int, ...], y: tuple[int, ...], names: Names) -> str:
    """Return what to do about arrays of these shapes, features x examples, or an empty text."""
    if len(x) != 2 or x[1] not in y:
        if len(y) == 2 and y[1] == x[0]:
            return f" Examples are rows here: give {names.y}.T."
        return ""
    return f" Examples are rows here: give {names.x}.T{f' and {names.y}.T' if len(y) == 2 else ''}."
