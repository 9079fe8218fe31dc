"""What layers with weights, a bias and an activation share."""

from __future__ import annotations

from nnx.builder import Builder, Shape
from nnx.checks import check_activation, check_alpha, check_flag, check_number
from nnx.initializers import InitializerLike, check_initializer
from nnx.interface import FUSED, Array
from nnx.layers.activation import Activation
from nnx.layers.base import Backward, Context, Layer


class Affine(Layer):
    """A map y = activation(linear map of x + b), the activation within the kernel where it can be.

    A subclass has the options named here, declares its weights by `declare`, and supplies `affine`.
    """

    activation: str
    init: InitializerLike
    bias: bool
    l2: float | None
    alpha: float | None

    def check_options(self) -> None:
        """Check the options that are the same for all."""
        check_activation(self.activation)
        check_alpha(self.activation, self.alpha)
        check_initializer(self.init)
        self.bias = check_flag("bias", self.bias)
        if self.l2 is not None:
            self.l2 = check_number("l2", self.l2, 0)

    def declare(self, builder: Builder, weight: Shape, init: InitializerLike, out: Shape) -> Shape:
        """Declare W of that shape and b, and the activation where the kernel cannot fuse it; return `out`."""
        self._weight = builder.parameter("weight", weight, init, True, self.l2)
        self._bias = builder.parameter("bias", weight[-1:], "zeros") if self.bias else None
        self._tail = Activation("identity" if self.activation in FUSED else self.activation)
        return self._tail.build(builder, out)

    def forward(self, x: Array, context: Context) -> tuple[Array, Backward]:
        """See `Layer.forward`."""
        fused = self.activation if self.activation in FUSED else "identity"
        z, affine_backward = self.affine(x, fused, check_alpha(self.activation, self.alpha))
        y, tail_backward = self._tail.forward(z, context)

        def backward(dy: Array) -> Array | None:
            dz = tail_backward(dy)
            return None if dz is None else affine_backward(dz)

        return y, backward

    def affine(self, x: Array, activation: str, alpha: float) -> tuple[Array, Backward]:
        """Map x and apply an activation of FUSED; return the backward pass with it."""
        raise NotImplementedError(f"{type(self).__name__} must supply affine")
