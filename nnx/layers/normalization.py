"""Batch and layer normalisation."""

from __future__ import annotations

from dataclasses import dataclass

from nnx.builder import Builder, Shape
from nnx.checks import check_number
from nnx.errors import NnxError, ShapeError
from nnx.interface import Array
from nnx.layers.base import Backward, Context, Layer, Share


@dataclass(eq=False, repr=False)
class BatchNorm(Layer):
    """Normalise each channel (the last axis) over all other axes of the batch, then scale and shift.

    Training uses the batch's biased variance and moves the running statistics, with the unbiased one:
    running = (1 - momentum) running + momentum batch. Prediction uses the running statistics. A batch of one
    row says nothing of the spread: it gives y = beta, and leaves running_var as it was. Padded steps of sequences
    count like all others.

    Shapes: x (N, ..., C) -> y (N, ..., C); gamma, beta, running_mean, running_var (C,).

    Args:
        momentum: weight of the newest batch in the running statistics, in [0, 1].
        eps: added to the variance inside the root, > 0.

    Raises:
        OptionError: an option is out of its range.
        ShapeError: training on a batch without rows.
    Source: Ioffe & Szegedy 2015.

    Elsewhere: `get_weights` has the names used here; gamma, beta and running_... are weight, bias and running_...
    of PyTorch, whose momentum is the same, and gamma, beta, moving_mean and moving_variance of Keras, whose
    momentum is 1 minus this one.
    """

    streams = True
    steps = "kept"

    momentum: float = 0.1
    eps: float = 1e-5

    def __post_init__(self) -> None:
        """Check the options."""
        self.momentum = check_number("momentum", self.momentum, 0, 1, open_high=False)
        self.eps = check_number("eps", self.eps, 0, open_low=True)

    def setup(self, builder: Builder, shape: Shape) -> Shape:
        """Declare scale, offset and running statistics per channel."""
        channels = _last_axis(self, shape)
        self._gamma = builder.parameter("gamma", channels, "ones")
        self._beta = builder.parameter("beta", channels, "zeros")
        self._running_mean = builder.state("running_mean", channels, 0.0)
        self._running_var = builder.state("running_var", channels, 1.0)
        self._running_var.least = 0.0
        return shape

    def forward(self, x: Array, context: Context) -> tuple[Array, Backward]:
        """See `Layer.forward`; the backward pass of a prediction raises, since nothing is learned from one."""
        if not context.train:
            return self._infer(x), _no_backward
        return self._train(x) if context.share is None else self._train_shared(x, context.share)

    def _train(self, x: Array) -> tuple[Array, Backward]:
        ops, gamma, beta = self.ops, self._gamma, self._beta
        running = self._running_mean.value, self._running_var.value
        y, mean, rstd = ops.batch_norm(x, gamma.value, beta.value, *running, self.momentum, self.eps)

        def backward(dy: Array) -> Array | None:
            into = gamma.grad, beta.grad
            return ops.batch_norm_backward(x, gamma.value, mean, rstd, dy, into, self.wants_dx)

        return y, backward

    def _train_shared(self, x: Array, share: Share) -> tuple[Array, Backward]:
        """Do as `_train`, by the statistics of the whole batch, of which x is the share of this process."""
        ops, gamma, beta = self.ops, self._gamma, self._beta
        running = self._running_mean.value, self._running_var.value
        scale = gamma.value, beta.value
        y, mean, rstd = share.batch_norm(ops, x, scale, running, self.momentum, self.eps)

        def backward(dy: Array) -> Array | None:
            into = gamma.grad, beta.grad
            return share.batch_norm_backward(ops, x, gamma.value, (mean, rstd), dy, into, self.wants_dx)

        return y, backward

    def _infer(self, x: Array) -> Array:
        running = self._running_mean.value, self._running_var.value
        return self.ops.batch_norm_infer(x, self._gamma.value, self._beta.value, *running, self.eps)


@dataclass(eq=False, repr=False)
class LayerNorm(Layer):
    """Normalise each row over its last axis, then scale and shift; the same in training and prediction.

    Shapes: x (N, ..., F) -> y (N, ..., F); gamma, beta (F,).

    Args:
        eps: added to the variance inside the root, > 0.

    Raises:
        OptionError: eps is out of its range.
    Source: Ba, Kiros & Hinton 2016.

    Elsewhere: `get_weights` has the names used here; gamma and beta are weight and bias of PyTorch; Keras has the
    same names.
    """

    streams = True
    steps = "kept"

    eps: float = 1e-5

    def __post_init__(self) -> None:
        """Check the options."""
        self.eps = check_number("eps", self.eps, 0, open_low=True)

    def setup(self, builder: Builder, shape: Shape) -> Shape:
        """Declare scale and offset per feature."""
        features = _last_axis(self, shape)
        self._gamma = builder.parameter("gamma", features, "ones")
        self._beta = builder.parameter("beta", features, "zeros")
        return shape

    def forward(self, x: Array, context: Context) -> tuple[Array, Backward]:
        """See `Layer.forward`."""
        del context
        ops, gamma, beta = self.ops, self._gamma, self._beta
        y, mean, rstd = ops.layer_norm(x, gamma.value, beta.value, self.eps)

        def backward(dy: Array) -> Array | None:
            into = gamma.grad, beta.grad
            return ops.layer_norm_backward(x, gamma.value, mean, rstd, dy, into, self.wants_dx)

        return y, backward


def _last_axis(layer: Layer, shape: Shape) -> Shape:
    if not shape or shape[-1] == 0:
        raise ShapeError(f"{type(layer).__name__} expects inputs of at least one feature, got shape {shape}.")
    return shape[-1:]


def _no_backward(dy: Array) -> Array | None:
    del dy
    raise NnxError("BatchNorm has no backward pass in prediction; call forward with Context(train=True).")
