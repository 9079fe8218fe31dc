"""Losses: value, gradient and the sum over the batch in one launch."""

from __future__ import annotations

import numpy as np

from nnx.interface import Array
from nnx_cupy.kernels import C_TYPES, Group
from nnx_cupy.launch import Launcher

CROSS_ENTROPY = Group("losses", ("cross_entropy",))
ELEMENTWISE_LOSS = Group("losses", ("elementwise_loss",))


class Losses(Launcher):
    """Kernels that end a forward pass and begin a backward pass."""

    def softmax_cross_entropy(
        self,
        logits: Array,
        labels: Array,
        weight: Array | None,
        loss: Array,
        dlogits: Array | None,
        smoothing: float,
    ) -> None:
        """A team of threads per row; one-hot rows are never formed."""
        self._cross_entropy(logits, labels, weight, loss, dlogits, smoothing)

    def soft_cross_entropy(
        self,
        logits: Array,
        targets: Array,
        weight: Array | None,
        loss: Array,
        dlogits: Array | None,
        smoothing: float,
    ) -> None:
        """A team of threads per row."""
        self._cross_entropy(logits, targets, weight, loss, dlogits, smoothing)

    def sigmoid_cross_entropy(
        self, logits: Array, targets: Array, weight: Array | None, loss: Array, dlogits: Array | None
    ) -> None:
        """One grid-stride pass."""
        self._elementwise("SigmoidCrossEntropy", logits, targets, weight, loss, dlogits)

    def mean_squared_error(
        self, outputs: Array, targets: Array, weight: Array | None, loss: Array, doutputs: Array | None
    ) -> None:
        """One grid-stride pass."""
        self._elementwise("SquaredError", outputs, targets, weight, loss, doutputs)

    def mean_absolute_error(
        self, outputs: Array, targets: Array, weight: Array | None, loss: Array, doutputs: Array | None
    ) -> None:
        """One grid-stride pass."""
        self._elementwise("AbsoluteError", outputs, targets, weight, loss, doutputs)

    def huber(
        self,
        outputs: Array,
        targets: Array,
        weight: Array | None,
        loss: Array,
        doutputs: Array | None,
        delta: float,
    ) -> None:
        """One grid-stride pass."""
        self._elementwise("Huber", outputs, targets, weight, loss, doutputs, delta)

    def _cross_entropy(
        self,
        logits: Array,
        targets: Array,
        weight: Array | None,
        loss: Array,
        dlogits: Array | None,
        smoothing: float,
    ) -> None:
        number, arrays = logits.dtype.type, self._arrays(logits, targets, weight, loss, dlogits)
        numbers = number(1 - smoothing), number(smoothing / logits.shape[1])
        kernel = CROSS_ENTROPY.of("cross_entropy", logits.dtype, C_TYPES[targets.dtype])
        self.sum_rows(kernel, logits.shape, *arrays, numbers=numbers, dtype=logits.dtype)

    def _elementwise(
        self,
        function: str,
        outputs: Array,
        targets: Array,
        weight: Array | None,
        loss: Array,
        gradient: Array | None,
        delta: float = 0.0,
    ) -> None:
        arrays = self._arrays(outputs, targets, weight, loss, gradient)
        numbers = np.int64(outputs.size), np.int64(outputs.shape[1]), outputs.dtype.type(delta)
        kernel = ELEMENTWISE_LOSS.of("elementwise_loss", outputs.dtype, function)
        self.sum_elements(kernel, self.packs(outputs), *arrays, *numbers, dtype=outputs.dtype)

    def _arrays(
        self, outputs: Array, targets: Array, weight: Array | None, loss: Array, gradient: Array | None
    ) -> tuple[Array, ...]:
        inputs = self.contiguous(outputs), self.contiguous(targets), *self.or_any(weight, loss)
        return *inputs, loss, *self.or_any(gradient, loss)
