"""Fully connected layers."""

from __future__ import annotations

from dataclasses import dataclass

from nnx.builder import Builder, Shape
from nnx.checks import check_count
from nnx.errors import ShapeError
from nnx.initializers import InitializerLike
from nnx.interface import Array
from nnx.layers.affine import Affine
from nnx.layers.base import Backward


@dataclass(eq=False, repr=False)
class Dense(Affine):
    """Affine map of the last axis: y = activation(x @ W + b); in a sequence, the same for every step.

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

    Elsewhere: W and b are "weight" and "bias" in `get_weights`; W is the kernel of Keras, and weight.T of PyTorch's
    Linear. After `Flatten` of an image, the rows of W follow the order (H, W, C), as in Keras; those of PyTorch
    follow (C, H, W).
    """

    streams = True
    steps = "kept"

    units: int
    activation: str = "identity"
    init: InitializerLike = "he"
    bias: bool = True
    l2: float | None = None
    alpha: float | None = None

    def __post_init__(self) -> None:
        """Check the options."""
        self.units = check_count("units", self.units)
        self.check_options()

    def setup(self, builder: Builder, shape: Shape) -> Shape:
        """Declare W and b."""
        if not shape:
            raise ShapeError(f"{self!r} expects inputs of at least one feature, got shape {shape}.")
        return self.declare(builder, (shape[-1], self.units), self.init, (*shape[:-1], self.units))

    def affine(self, x: Array, activation: str, alpha: float) -> tuple[Array, Backward]:
        """See `Affine.affine`."""
        ops, weight, bias = self.ops, self._weight, self._bias
        if x.shape[-1] != weight.shape[0]:
            raise ShapeError(f"{self!r} expects inputs of {weight.shape[0]} features, got {tuple(x.shape)}.")
        y = ops.linear(x, weight.value, bias and bias.value, activation, alpha)  # (N, O)

        def backward(dy: Array) -> Array | None:
            into = weight.grad, bias and bias.grad
            return ops.linear_backward(x, y, dy, weight.value, *into, activation, alpha, self.wants_dx)  # (N, I)

        return y, backward
