"""Convolution of images and sequences."""

from __future__ import annotations

from dataclasses import dataclass

from nnx.builder import Builder, Shape
from nnx.checks import check_count
from nnx.errors import OptionError
from nnx.initializers import InitializerLike, by_group, check_initializer
from nnx.interface import Array
from nnx.layers.affine import Affine
from nnx.layers.base import Backward, Context
from nnx.layers.windows import Extents, Frame, Padding, Windowed, check_extents, check_padding


@dataclass(eq=False, repr=False)
class _Convolution(Windowed, Affine):
    filters: int
    kernel_size: Extents
    strides: Extents = 1
    padding: Padding = "valid"
    dilation_rate: Extents = 1
    groups: int = 1
    activation: str = "identity"
    init: InitializerLike = "he"
    bias: bool = True
    l2: float | None = None
    alpha: float | None = None

    def __post_init__(self) -> None:
        """Check the options."""
        self.filters = check_count("filters", self.filters)
        self.kernel_size = check_extents("kernel_size", self.kernel_size, self.axes)
        self.strides = check_extents("strides", self.strides, self.axes)
        self.padding = check_padding(self.padding, self.axes)
        self.dilation_rate = check_extents("dilation_rate", self.dilation_rate, self.axes)
        self.groups = check_count("groups", self.groups)
        self.check_options()

    def setup(self, builder: Builder, shape: Shape) -> Shape:
        """Declare W and b."""
        self.check_shape(builder, shape)
        channels = shape[-1]
        if channels % self.groups or self.filters % self.groups:
            raise OptionError(
                f"groups must divide the {channels} channels of the inputs and the {self.filters} filters, "
                f"got groups={self.groups}."
            )
        self.frame = Frame.of(self.axes, self.kernel_size, self.strides, self.padding, self.dilation_rate)
        places = self.places(shape)
        weight = (*self.frame.size[2 - self.axes :], channels // self.groups, self.filters)
        init = by_group(check_initializer(self.init), self.groups)
        return self.declare(builder, weight, init, (*places, self.filters))

    def affine(self, x: Array, activation: str, alpha: float) -> tuple[Array, Backward]:
        """See `Affine.affine`."""
        ops, weight, bias = self.ops, self._weight, self._bias
        shape = (*self.frame.size, *weight.shape[-2:])
        image, w = self.lift(x), ops.reshape(weight.value, shape)
        attributes = self.frame.window(*image.shape[1:3]), self.groups, activation, alpha
        y = ops.conv2d(image, w, bias and bias.value, *attributes)  # (N, P, Q, O)

        def backward(dy: Array) -> Array | None:
            arrays = image, y, self.lift(dy), w, ops.reshape(weight.grad, shape), bias and bias.grad
            dx = ops.conv2d_backward(*arrays, *attributes, self.wants_dx)
            return None if dx is None else self.lower(dx)

        return self.lower(y), backward

    def forward(self, x: Array, context: Context) -> tuple[Array, Backward]:
        """See `Layer.forward`."""
        self.check_inputs(x)
        return super().forward(x, context)


@dataclass(eq=False, repr=False)
class Conv2D(_Convolution):
    """Convolution of images: y = activation(conv(x, W) + b); the formula stands at `nnx.Backend.conv2d`.

    Shapes: x (N, H, W, C) -> y (N, P, Q, O), P and Q counting the places of the window; W (K, L, C / G, O); b (O,).
    Without padding P = (H - reach) // stride + 1, reach = (K - 1) dilation + 1; with "same", P = ceil(H / stride).

    Args:
        filters: O, the number of output channels.
        kernel_size: K and L, one number for both or (K, L).
        strides: pixels from one place of the window to the next: one number or (down, along).
        padding: "valid" for none; "same" for as many places as H / stride, rounded up, the odd row of padding
            after; a number of pixels for all sides; or ((top, bottom), (left, right)). Padding is 0.
        dilation_rate: pixels from one tap of the window to the next: one number or (down, along).
        groups: G: each of G groups of filters sees its own C / G of the channels; G = C is a depthwise convolution.
        activation: a name, see `Activation`.
        init: initialiser of W: a name, a number or a function, see `nnx.initializers`; each group is drawn alone.
        bias: whether there is a b; a convolution directly before BatchNorm may do without.
        l2: factor lambda of this layer's own L2 penalty; None follows the model's.
        alpha: option of leaky_relu and elu, see `Activation`.

    Raises:
        OptionError, UnknownNameError: an option is out of its range; at build, groups divide not both C and O.
        ShapeError: the inputs are no images of C channels; at build, if the window is larger than they are.

    Elsewhere: W and b are "weight" and "bias" in `get_weights`; W is the kernel of Keras' Conv2D, of (K, L, C, M)
    of its DepthwiseConv2D as (K, L, 1, C M), and weight (O, C / G, K, L) of PyTorch's Conv2d with the axes taken in
    the order (2, 3, 1, 0).
    """

    axes = 2


@dataclass(eq=False, repr=False)
class Conv1D(_Convolution):
    """Convolution of sequences along their steps: an image of one row.

    Shapes: x (N, T, C) -> y (N, Q, O); W (K, C / G, O); b (O,). A model with it takes no lengths, since the
    windows would take padding for steps.

    Args:
        filters: O, the number of output channels.
        kernel_size: K, the steps that a window spans.
        strides, dilation_rate: steps from one place, or tap, to the next.
        padding: "valid", "same", a number of steps for both ends, or ((before, after),); with
            (((K - 1) dilation, 0),) no output depends on later steps.
        groups, activation, init, bias, l2, alpha: as in `Conv2D`.

    Raises:
        OptionError, UnknownNameError, ShapeError: as `Conv2D`.

    Elsewhere: W and b are "weight" and "bias" in `get_weights`; W is the kernel of Keras' Conv1D, and weight (O, C
    / G, K) of PyTorch's Conv1d with the axes taken in the order (2, 1, 0).
    """

    axes = 1
