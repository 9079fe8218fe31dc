"""Examples to train on or to measure: checked together on the host, then transferred to the device."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nnx.border import Host, batch_of, check_finite, check_lengths, check_x, to_host
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
        marks: what keeps padding out of accuracy, see `Loss.count_correct`; None without lengths.
        steps: the axes of the outputs between the first and the last.
    """

    x: Host
    targets: Host
    weight: Host | None = None
    lengths: Host | None = None
    marks: Host | None = None
    steps: tuple[int, ...] = ()

    @property
    def padded(self) -> bool:
        """Whether some steps of the outputs may be padding."""
        return self.lengths is not None and bool(self.steps)

    def rows(self, index: NDArray[np.int64]) -> Examples:
        """Return the examples with these numbers."""
        weight, lengths, marks = (
            None if part is None else part[index] for part in (self.weight, self.lengths, self.marks)
        )
        return Examples(self.x[index], self.targets[index], weight, lengths, marks, self.steps)

    def real_outputs(self) -> NDArray[np.int64]:
        """Return how many steps of each example's outputs count, (M,); 1 where outputs have no steps."""
        if self.lengths is None or not self.steps:
            return np.full(len(self.x), math.prod(self.steps), np.int64)
        counts: NDArray[np.int64] = self.lengths * math.prod(self.steps[1:])
        return counts

    def step_weight(self) -> Host | None:
        """Return how much each step counts, (M, *steps): 0 in the padding, and the rest the more for it.

        The factor is (all steps) / (real steps) over all these examples together. The loss of a batch is a mean
        over all its steps, so that the mean of all batches, each weighed by its examples, is the mean over the
        real steps; a step counts the same whatever batch it comes in.
        """
        if self.lengths is None or not self.steps:
            return self.weight
        real = real_steps(self.lengths, self.steps)
        share: Host = np.where(real, real.size / np.count_nonzero(real), 0.0)
        return share if self.weight is None else share * self.weight


class DeviceExamples(NamedTuple):
    """The same on a device; weights are those of `Examples.step_weight`."""

    x: Array
    targets: Array
    weight: Array | None
    lengths: Array | None
    marks: Array | None


def transfer(examples: Examples, ops: Ops) -> DeviceExamples:
    """Copy examples to the device: whole numbers as int64, all others in the model's dtype."""
    weight, lengths, marks = (
        None if part is None else send(part, ops)
        for part in (examples.step_weight(), examples.lengths, examples.marks)
    )
    return DeviceExamples(send(examples.x, ops), send(examples.targets, ops), weight, lengths, marks)


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
    """What a model and its loss take.

    Attributes:
        loss, input_shape, output_shape, vocabulary, ops: of the model.
    """

    loss: Loss
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    vocabulary: int | None
    ops: Ops

    def check(
        self,
        x: Any,
        y: Any,
        sample_weight: Any,
        class_weight: Mapping[int, float] | None,
        lengths: Any,
        names: Names,
    ) -> Examples:
        """Check inputs, targets, weights and lengths together.

        Raises:
            DataError, DtypeError, ShapeError, BackendError: one of them is not what the model and the loss take.
        """
        inputs = check_x(x, self.input_shape, self.vocabulary, self.ops, names.x)
        rows = inputs.shape[0]
        if rows == 0:
            raise DataError(f"{names.x} holds no examples; training and evaluation need at least one.")
        counts = check_lengths(lengths, rows, self.input_shape, self.vocabulary, self.ops, names.lengths)
        real = self._real_steps(counts, names)
        targets = self._check_targets(y, rows, real, names)
        steps = self.output_shape[:-1]
        if class_weight is not None:
            check_classes(class_weight, self.loss, self.output_shape[-1])
        weight = check_weights(sample_weight, class_weight, targets, steps, self.ops, names.y)
        targets, marks = (targets, None) if real is None else mark_padding(self.loss.targets, targets, real)
        return Examples(inputs, targets, weight, counts, marks, steps)

    def _real_steps(self, lengths: Host | None, names: Names) -> Host | None:
        """Return which steps of the outputs are real, where lengths tell."""
        if not self.output_shape:
            raise ShapeError(
                "A loss needs outputs of shape (N, outputs), got (N,). Add an axis of features to the inputs, such "
                f"as by {names.x}[:, None]."
            )
        steps = self.output_shape[:-1]
        if lengths is None or not steps:
            return None
        if steps[0] != self.input_shape[0]:
            raise ShapeError(
                f"{names.lengths} count the {self.input_shape[0]} steps of the inputs, but the model's outputs "
                f"{batch_of(self.output_shape)} have {steps[0]}, so that their padding is not known; use "
                "sample_weight per step instead."
            )
        return real_steps(lengths, steps)

    def _check_targets(self, y: Any, rows: int, real: Host | None, names: Names) -> Host:
        given = to_host(y, names.y, self.ops)
        if given.ndim == 0 or given.shape[0] != rows:
            raise ShapeError(
                f"{names.y} must have one row per example of {names.x} ({rows}), got shape {given.shape}."
            )
        if real is not None:
            given = fill_padding(given, real)
        check_finite(given, names.y)
        with np.errstate(over="ignore"):
            targets = check_targets(self.loss.targets, given, self.output_shape, self.ops.dtype, names.y)
        check_finite(targets, names.y)
        return targets
