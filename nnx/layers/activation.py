"""Activation functions as layers of their own."""

from __future__ import annotations

from dataclasses import dataclass

from nnx.builder import Builder, Shape
from nnx.checks import ROWWISE, check_activation, check_alpha
from nnx.errors import ShapeError
from nnx.interface import Array
from nnx.layers.base import Backward, Context, Layer


@dataclass(eq=False, repr=False)
class Activation(Layer):
    """An activation by name: y = f(x); the formulas stand at `nnx.Backend.activate`.

    Shapes: x (N, ...) -> y (N, ...); softmax and log_softmax work on the last axis.

    Args:
        activation: "relu", "leaky_relu", "elu", "sigmoid", "tanh", "softplus", "gelu", "silu", "softmax",
            "log_softmax" or "identity".
        alpha: the slope of leaky_relu (0.01 by default) or the scale of elu (1).

    Raises:
        UnknownNameError: no activation has that name.
        OptionError: alpha given for another activation, or negative.
    """

    streams = True
    steps = "kept"

    activation: str
    alpha: float | None = None

    def __post_init__(self) -> None:
        """Check the options."""
        check_activation(self.activation)
        check_alpha(self.activation, self.alpha)

    def setup(self, builder: Builder, shape: Shape) -> Shape:
        """Check that there are features to normalise over."""
        del builder
        if self.activation in ROWWISE and not shape:
            raise ShapeError(f"{self!r} expects inputs of at least one feature, got shape {shape}.")
        return shape

    def forward(self, x: Array, context: Context) -> tuple[Array, Backward]:
        """See `Layer.forward`."""
        del context
        if self.activation == "identity":
            return x, lambda dy: dy
        return self._rowwise(x) if self.activation in ROWWISE else self._elementwise(x)

    def _elementwise(self, x: Array) -> tuple[Array, Backward]:
        ops, name, alpha = self.ops, self.activation, check_alpha(self.activation, self.alpha)
        y = ops.activate(x, name, alpha)
        return y, lambda dy: ops.activate_backward(x, y, dy, name, alpha) if self.wants_dx else None

    def _rowwise(self, x: Array) -> tuple[Array, Backward]:
        ops = self.ops
        if self.activation == "softmax":
            y = ops.softmax(x)
            return y, lambda dy: ops.softmax_backward(y, dy) if self.wants_dx else None
        y = ops.log_softmax(x)
        return y, lambda dy: ops.log_softmax_backward(y, dy) if self.wants_dx else None
