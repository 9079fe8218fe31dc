"""Losses: each returns the loss, a 0-d array, and its gradient where that is wanted.

Axes between the first and the last, such as time, are taken together with the batch: a weight is (N, ...), one per
row of outputs.

Everywhere, before the kernel runs: ShapeError for targets or weights that are not for these outputs, or no rows;
DtypeError for labels that are not int64, or other arrays of another dtype than the outputs.
"""

from __future__ import annotations

from typing import Any

from nnx.errors import ShapeError
from nnx.interface import Array
from nnx.ops.core import OpsCore
from nnx.tape import Kernel

LossAndGradient = tuple[Array, Array | None]


class Losses(OpsCore):
    """Operations that end a forward pass."""

    def softmax_cross_entropy(
        self, logits: Array, labels: Array, weight: Array | None, smoothing: float, gradient: bool
    ) -> LossAndGradient:
        """Cross-entropy of (N, ..., C) logits and (N, ...) int64 labels, or (N, ..., C) distributions."""
        if labels.ndim == logits.ndim - 1:
            self._one_label_per_row(logits, labels)
            hard = self.backend.softmax_cross_entropy
            return self._loss(hard, logits, labels, weight, gradient, smoothing)
        self.same("soft_cross_entropy", logits=logits, targets=labels)
        return self._loss(self.backend.soft_cross_entropy, logits, labels, weight, gradient, smoothing)

    def sigmoid_cross_entropy(
        self, logits: Array, targets: Array, weight: Array | None, gradient: bool
    ) -> LossAndGradient:
        """Binary cross-entropy of (N, ..., O) logits and targets."""
        self.same("sigmoid_cross_entropy", logits=logits, targets=targets)
        return self._loss(self.backend.sigmoid_cross_entropy, logits, targets, weight, gradient)

    def mean_squared_error(
        self, outputs: Array, targets: Array, weight: Array | None, gradient: bool
    ) -> LossAndGradient:
        """Mean squared error of (N, ..., O) outputs and targets."""
        self.same("mean_squared_error", outputs=outputs, targets=targets)
        return self._loss(self.backend.mean_squared_error, outputs, targets, weight, gradient)

    def mean_absolute_error(
        self, outputs: Array, targets: Array, weight: Array | None, gradient: bool
    ) -> LossAndGradient:
        """Mean absolute error of (N, ..., O) outputs and targets."""
        self.same("mean_absolute_error", outputs=outputs, targets=targets)
        return self._loss(self.backend.mean_absolute_error, outputs, targets, weight, gradient)

    def huber(
        self, outputs: Array, targets: Array, weight: Array | None, delta: float, gradient: bool
    ) -> LossAndGradient:
        """Huber loss of (N, ..., O) outputs and targets."""
        self.same("huber", outputs=outputs, targets=targets)
        return self._loss(self.backend.huber, outputs, targets, weight, gradient, delta)

    def _one_label_per_row(self, logits: Array, labels: Array) -> None:
        self.whole_numbers("softmax_cross_entropy", labels=labels)
        if labels.shape != logits.shape[:-1]:
            raise ShapeError(
                f"softmax_cross_entropy expects one label per row of logits {tuple(logits.shape)}, "
                f"got labels {tuple(labels.shape)}."
            )

    def _loss(
        self,
        kernel: Kernel,
        outputs: Array,
        targets: Array,
        weight: Array | None,
        gradient: bool,
        *attributes: Any,
    ) -> LossAndGradient:
        if 0 in outputs.shape[:-1]:
            raise ShapeError(f"a loss expects at least one row, got outputs {tuple(outputs.shape)}.")
        self.fit("a loss", tuple(outputs.shape[:-1]), outputs, weight=weight)
        loss, slope = self.scalar(), self.like(outputs) if gradient else None
        aligned = self.rows(targets) if targets.ndim == outputs.ndim else self.flat(targets)
        rows_weight = None if weight is None else self.flat(weight)
        rows_slope = None if slope is None else self.rows(slope)
        self.call(kernel, self.rows(outputs), aligned, rows_weight, loss, rows_slope, *attributes)
        return loss, slope
