"""Losses with their gradient in the same pass."""

from __future__ import annotations

from nnx import reference
from nnx.interface.arrays import Array, Arrays


class Losses(Arrays):
    """Kernels that end a forward pass and begin a backward pass. Letters: N rows (examples), C classes, O outputs.

    Every loss is a mean over the batch, row i counted weight[i] times:

        loss = 1 / N sum_i weight_i l_i

    The l_i of an elementwise loss is the mean over the row's O elements, for which formulas stand below. weight is
    (N,) or None for all ones; N >= 1. loss is a 0-d array of the dtype of the outputs; the gradient may be None
    where only the loss is wanted.
    """

    def softmax_cross_entropy(
        self,
        logits: Array,
        labels: Array,
        weight: Array | None,
        loss: Array,
        dlogits: Array | None,
        smoothing: float,
    ) -> None:
        """Cross-entropy between softmax(logits) and integer labels, with label smoothing.

            l_i = -sum_c q_ic log softmax(logits_i)_c
            q = (1 - smoothing) onehot(labels) + smoothing / C
            dlogits_i = weight_i (softmax(logits_i) - q_i) / N

        Exact for any finite logits; a class with q = 0 may have the logit -infinity and then counts for nothing.

        Shapes: logits, dlogits (N, C), C >= 1; labels (N,) int64 in 0..C-1; loss ().
        Attributes: smoothing in [0, 1). Source: Szegedy et al. 2016 (smoothing).
        """
        reference.softmax_cross_entropy(self.xp, logits, labels, weight, loss, dlogits, smoothing)

    def soft_cross_entropy(
        self,
        logits: Array,
        targets: Array,
        weight: Array | None,
        loss: Array,
        dlogits: Array | None,
        smoothing: float,
    ) -> None:
        """`softmax_cross_entropy` with a distribution per row (one-hot, say) in place of an integer label.

            q = (1 - smoothing) targets + smoothing / C

        Each row of targets sums to 1.

        Shapes: logits, targets, dlogits (N, C).
        """
        reference.soft_cross_entropy(self.xp, logits, targets, weight, loss, dlogits, smoothing)

    def sigmoid_cross_entropy(
        self, logits: Array, targets: Array, weight: Array | None, loss: Array, dlogits: Array | None
    ) -> None:
        """Binary cross-entropy of each output between sigmoid(logits) and targets in [0, 1].

            l = max(z, 0) - z t + log(1 + e^-|z|)    for a logit z and its target t
            dz = (sigmoid(z) - t) weight / (N O)

        Shapes: logits, targets, dlogits (N, O), O >= 1.
        """
        reference.sigmoid_cross_entropy(self.xp, logits, targets, weight, loss, dlogits)

    def mean_squared_error(
        self, outputs: Array, targets: Array, weight: Array | None, loss: Array, doutputs: Array | None
    ) -> None:
        """Squared error.

            l = e^2    e = outputs - targets
            doutputs = 2 e weight / (N O)

        Shapes: outputs, targets, doutputs (N, O), O >= 1.
        """
        reference.mean_squared_error(self.xp, outputs, targets, weight, loss, doutputs)

    def mean_absolute_error(
        self, outputs: Array, targets: Array, weight: Array | None, loss: Array, doutputs: Array | None
    ) -> None:
        """Absolute error.

            l = |e|    e = outputs - targets
            doutputs = sign(e) weight / (N O)    sign(0) = 0

        Shapes: outputs, targets, doutputs (N, O), O >= 1.
        """
        reference.mean_absolute_error(self.xp, outputs, targets, weight, loss, doutputs)

    def huber(
        self,
        outputs: Array,
        targets: Array,
        weight: Array | None,
        loss: Array,
        doutputs: Array | None,
        delta: float,
    ) -> None:
        """Huber loss: squared error near zero, absolute error beyond delta.

            l = e^2 / 2    where |e| <= delta, with e = outputs - targets
            l = delta (|e| - delta / 2)    elsewhere
            doutputs = clip(e, -delta, delta) weight / (N O)

        Shapes: outputs, targets, doutputs (N, O), O >= 1. Attributes: delta > 0. Source: Huber 1964.
        """
        reference.huber(self.xp, outputs, targets, weight, loss, doutputs, delta)
