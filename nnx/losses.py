"""Losses: what training makes small, the targets they take, and what outputs mean under them.

Models end in plain outputs. The classification losses take logits and apply softmax or sigmoid themselves,
which keeps them exact for extreme values; `probabilities` gives the softmax or sigmoid of the outputs.

Outputs are (N, O); or (N, T, O), one per step of a sequence, or (N, H, W, O), one per pixel of an image. Every loss
is the mean over all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from nnx.checks import check_number, dataclass_options
from nnx.errors import OptionError, UnknownNameError
from nnx.interface import Array
from nnx.ops import Ops

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "LOSSES",
    "Huber",
    "Loss",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "SigmoidCrossEntropy",
    "SoftmaxCrossEntropy",
]


class Loss:
    """Base of all losses.

    Attributes:
        name: what `Sequential.compile` takes.
        targets: "labels" (integers 0..C-1, or distributions over C classes), "binary" (0 to 1 per output) or
            "values" (any numbers, one per output).
        final_activations: activations that the last layer must not have, because the loss applies them itself.
    """

    name: ClassVar[str]
    targets: ClassVar[str]
    final_activations: ClassVar[tuple[str, ...]] = ()

    def forward(
        self, ops: Ops, outputs: Array, targets: Array, weight: Array | None, gradient: bool
    ) -> tuple[Array, Array | None]:
        """Return the loss, a 0-d array, and its gradient where that is wanted.

        Shapes: outputs and gradient (N, ..., O); targets like them, or (N, ...) int64 labels; weight (N, ...).
        """
        raise NotImplementedError(f"{type(self).__name__} must supply forward")

    def count_correct(self, ops: Ops, outputs: Array, targets: Array, marks: Array | None) -> Array | None:
        """Return how many outputs are right, a 0-d int64 array; None where right and wrong make no sense.

        Args:
            ops: of the model.
            outputs: (N, ..., O).
            targets: as `forward` takes them.
            marks: None, or what keeps padded steps from being right: for labels, (N, ...) int64, the labels with
                -1 in the padding; for binary targets, like outputs, to be added to them: 0, and -infinity in the
                padding, where targets are 1. For values there are none, and steps with padding are not counted.
        """
        del ops, outputs, targets, marks
        return None

    def decisions(self, outputs: int) -> int:
        """Return how many right-or-wrong decisions that many outputs, of one example or step, hold."""
        del outputs
        return 1

    def probabilities(self, ops: Ops, outputs: Array) -> Array:
        """Return the probabilities that the outputs stand for.

        Raises:
            OptionError: the loss has no probabilities.
        """
        del ops, outputs
        raise OptionError(f"probabilities exist for classification losses only; this model has {self.name!r}.")

    def classes(self, outputs: NDArray[Any]) -> NDArray[Any]:
        """Return the predicted classes of outputs (N, ..., O) on the host, (N, ...) int64.

        Raises:
            OptionError: the loss has no classes.
        """
        del outputs
        raise OptionError(f"classes exist for classification losses only; this model has {self.name!r}.")

    def config(self) -> dict[str, Any]:
        """Return the options, by field name.

        Raises:
            OptionError: the class is no dataclass, and does not override this.
        """
        return dataclass_options(self)


@dataclass(frozen=True)
class SoftmaxCrossEntropy(Loss):
    """Cross-entropy of softmax(outputs) with labels (N, ...) or distributions (N, ..., C).

    Args:
        smoothing: share of the target that is spread over all classes, in [0, 1).

    Raises:
        OptionError: smoothing is out of its range.
    """

    smoothing: float = 0.0

    name: ClassVar[str] = "softmax_cross_entropy"
    targets: ClassVar[str] = "labels"
    final_activations: ClassVar[tuple[str, ...]] = ("softmax", "log_softmax", "sigmoid")

    def __post_init__(self) -> None:
        """Check the option."""
        object.__setattr__(self, "smoothing", check_number("smoothing", self.smoothing, 0, 1))

    def forward(
        self, ops: Ops, outputs: Array, targets: Array, weight: Array | None, gradient: bool
    ) -> tuple[Array, Array | None]:
        """See `Loss.forward`."""
        return ops.softmax_cross_entropy(outputs, targets, weight, self.smoothing, gradient)

    def count_correct(self, ops: Ops, outputs: Array, targets: Array, marks: Array | None) -> Array:
        """See `Loss.count_correct`."""
        rows, labels = ops.rows(outputs), targets if marks is None else marks
        if labels.ndim == outputs.ndim:
            labels = ops.argmax(ops.rows(labels))
        return ops.count_correct(rows, ops.reshape(labels, (rows.shape[0],)))

    def probabilities(self, ops: Ops, outputs: Array) -> Array:
        """See `Loss.probabilities`."""
        return ops.softmax(outputs)

    def classes(self, outputs: NDArray[Any]) -> NDArray[Any]:
        """See `Loss.classes`."""
        best: NDArray[Any] = outputs.argmax(axis=-1)
        return best


@dataclass(frozen=True)
class SigmoidCrossEntropy(Loss):
    """Binary cross-entropy of sigmoid(outputs) with targets from 0 to 1, each output on its own."""

    name: ClassVar[str] = "sigmoid_cross_entropy"
    targets: ClassVar[str] = "binary"
    final_activations: ClassVar[tuple[str, ...]] = ("sigmoid", "softmax", "log_softmax")

    def forward(
        self, ops: Ops, outputs: Array, targets: Array, weight: Array | None, gradient: bool
    ) -> tuple[Array, Array | None]:
        """See `Loss.forward`."""
        return ops.sigmoid_cross_entropy(outputs, targets, weight, gradient)

    def count_correct(self, ops: Ops, outputs: Array, targets: Array, marks: Array | None) -> Array:
        """See `Loss.count_correct`."""
        logits = outputs if marks is None else ops.add(outputs, marks)
        return ops.count_correct_binary(ops.rows(logits), ops.rows(targets))

    def decisions(self, outputs: int) -> int:
        """See `Loss.decisions`."""
        return outputs

    def probabilities(self, ops: Ops, outputs: Array) -> Array:
        """See `Loss.probabilities`."""
        return ops.activate(outputs, "sigmoid", 0.0)

    def classes(self, outputs: NDArray[Any]) -> NDArray[Any]:
        """Return 1 where the logit is above 0, (N, ...) for one output and (N, ..., O) for several."""
        positive = (outputs > 0).astype("int64")
        return positive[..., 0] if outputs.shape[-1] == 1 else positive


@dataclass(frozen=True)
class MeanSquaredError(Loss):
    """Mean over batch and outputs of (output - target)^2."""

    name: ClassVar[str] = "mean_squared_error"
    targets: ClassVar[str] = "values"

    def forward(
        self, ops: Ops, outputs: Array, targets: Array, weight: Array | None, gradient: bool
    ) -> tuple[Array, Array | None]:
        """See `Loss.forward`."""
        return ops.mean_squared_error(outputs, targets, weight, gradient)


@dataclass(frozen=True)
class MeanAbsoluteError(Loss):
    """Mean over batch and outputs of |output - target|."""

    name: ClassVar[str] = "mean_absolute_error"
    targets: ClassVar[str] = "values"

    def forward(
        self, ops: Ops, outputs: Array, targets: Array, weight: Array | None, gradient: bool
    ) -> tuple[Array, Array | None]:
        """See `Loss.forward`."""
        return ops.mean_absolute_error(outputs, targets, weight, gradient)


@dataclass(frozen=True)
class Huber(Loss):
    """Squared error near zero, absolute error beyond delta.

    Args:
        delta: where the one becomes the other, > 0.

    Raises:
        OptionError: delta is out of its range.
    """

    delta: float = 1.0

    name: ClassVar[str] = "huber"
    targets: ClassVar[str] = "values"

    def __post_init__(self) -> None:
        """Check the option."""
        object.__setattr__(self, "delta", check_number("delta", self.delta, 0, open_low=True))

    def forward(
        self, ops: Ops, outputs: Array, targets: Array, weight: Array | None, gradient: bool
    ) -> tuple[Array, Array | None]:
        """See `Loss.forward`."""
        return ops.huber(outputs, targets, weight, self.delta, gradient)


LOSSES: dict[str, type[Loss]] = {
    loss.name: loss
    for loss in (SoftmaxCrossEntropy, SigmoidCrossEntropy, MeanSquaredError, MeanAbsoluteError, Huber)
}
"""Every loss, by name."""


_ELSEWHERE = {
    "mse": "mean_squared_error",
    "l2": "mean_squared_error",
    "mae": "mean_absolute_error",
    "l1": "mean_absolute_error",
    "bce": "sigmoid_cross_entropy",
    "binary_crossentropy": "sigmoid_cross_entropy",
    "cross_entropy": "softmax_cross_entropy",
    "categorical_crossentropy": "softmax_cross_entropy",
    "sparse_categorical_crossentropy": "softmax_cross_entropy",
}
"""What other frameworks, and people, call these losses."""


def check_loss(loss: str | Loss) -> Loss:
    """Return the loss that a name stands for, or the loss itself.

    Raises:
        UnknownNameError: no loss has that name.
    """
    if isinstance(loss, Loss):
        return loss
    if isinstance(loss, type):
        raise OptionError(f"loss must be a name or an object: write {loss.__name__}(), with brackets.")
    if not isinstance(loss, str) or loss not in LOSSES:
        raise UnknownNameError("loss", loss, LOSSES, _ELSEWHERE.get(str(loss).lower()))
    return LOSSES[loss]()
