"""Fully connected layers."""

from __future__ import annotations

from dataclasses import dataclass

from nnx.builder import Builder, Shape
from nnx.checks import check_activation, check_alpha, check_count, check_flag, check_number
from nnx.errors import ShapeError
from nnx.initializers import InitializerLike, check_initializer
from nnx.interface import FUSED, Array
from nnx.layers.activation import Activation
from nnx.layers.base import Backward, Context, Layer


@dataclass(eq=False, repr=False)
class Dense(Layer):
    """Affine map of the last axis: y = activation(x @ W + b).

    Shapes: x (N, ..., I) -> y (N, ..., O); W (I, O); b (O,).

    Args:
        units: O, the number of outputs.
        activation: a name, see `Activation`.
        init: initialiser of W: a name, a number or a function, see `nnx.initializers`.
        bias: whether there is a b; a Dense directly before BatchNorm may do without.
        l2: factor lambda of this layer's own L2 penalty; None follows the model's.
        alpha: option of leaky_relu and elu, see `Activation`.

    Raises:
        OptionError, UnknownNameError: an option is out of its range.
        ShapeError: at build, if the inputs have no axis besides the batch; in use, if the last is not I.
    """

    streams = True

    units: int
    activation: str = "identity"
    init: InitializerLike = "he"
    bias: bool = True
    l2: float | None = None
    alpha: float | None = None

    def __post_init__(self) -> None:
        """Check the options."""
        self.units = check_count("units", self.units)
        check_activation(self.activation)
        check_alpha(self.activation, self.alpha)
        check_initializer(self.init)
        self.bias = check_flag("bias", self.bias)
        if self.l2 is not None:
            self.l2 = check_number("l2", self.l2, 0)

    def setup(self, builder: Builder, shape: Shape) -> Shape:
        """Declare W and b, and the activation where the kernel cannot fuse it."""
        if not shape:
            raise ShapeError(f"Dense({self.units}) expects inputs of at least one feature, got shape {shape}.")
        self._weight = builder.parameter("weight", (shape[-1], self.units), self.init, True, self.l2)
        self._bias = builder.parameter("bias", (self.units,), "zeros") if self.bias else None
        self._tail = Activation("identity" if self.activation in FUSED else self.activation)
        out = (*shape[:-1], self.units)
        return self._tail.build(builder, out)

    def forward(self, x: Array, context: Context) -> tuple[Array, Backward]:
        """See `Layer.forward`."""
        if x.shape[-1] != self._weight.shape[0]:
            raise ShapeError(
                f"Dense({self.units}) expects inputs of {self._weight.shape[0]} features, got {tuple(x.shape)}."
            )
        z, affine_backward = self._affine(x)
        y, tail_backward = self._tail.forward(z, context)

        def backward(dy: Array) -> Array | None:
            dz = tail_backward(dy)
            return None if dz is None else affine_backward(dz)

        return y, backward

    def _affine(self, x: Array) -> tuple[Array, Backward]:
        ops, weight, bias = self.ops, self._weight, self._bias
        name = self.activation if self.activation in FUSED else "identity"
        alpha = check_alpha(self.activation, self.alpha)
        y = ops.linear(x, weight.value, bias and bias.value, name, alpha)  # (N, O)

        def backward(dy: Array) -> Array | None:
            into = weight.grad, bias and bias.grad
            return ops.linear_backward(x, y, dy, weight.value, *into, name, alpha, self.wants_dx)  # (N, I)

        return y, backward
