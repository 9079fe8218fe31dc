"""Pooling of images and sequences."""

from __future__ import annotations

from dataclasses import dataclass

from nnx.builder import Builder, Shape
from nnx.errors import OptionError
from nnx.interface import Array, Window
from nnx.layers.base import Backward, Context
from nnx.layers.windows import Extents, Frame, Padding, Windowed, check_extents, check_padding


@dataclass(eq=False, repr=False)
class _Pool(Windowed):
    pool_size: Extents = 2
    strides: Extents | None = None
    padding: Padding = "valid"

    def __post_init__(self) -> None:
        """Check the options."""
        self.pool_size = check_extents("pool_size", self.pool_size, self.axes)
        if self.strides is not None:
            self.strides = check_extents("strides", self.strides, self.axes)
        self.padding = check_padding(self.padding, self.axes)
        strides = self.pool_size if self.strides is None else self.strides
        self.frame = Frame.of(self.axes, self.pool_size, strides, self.padding)
        if not isinstance(self.frame.padding, str):
            for size, sides in zip(self.frame.size, self.frame.padding, strict=True):
                self._check_sides(size, sides)

    def _check_sides(self, size: int, sides: tuple[int, int]) -> None:
        if max(sides) >= size:
            raise OptionError(
                f"padding must be smaller than pool_size, or a window would hold nothing but padding; "
                f"got padding={self.padding!r} with pool_size={self.pool_size!r}."
            )

    def setup(self, builder: Builder, shape: Shape) -> Shape:
        """Compute how many windows there are."""
        self.check_shape(builder, shape)
        return (*self.places(shape), shape[-1])

    def forward(self, x: Array, context: Context) -> tuple[Array, Backward]:
        """See `Layer.forward`."""
        del context
        self.check_inputs(x)
        image = self.lift(x)
        y, image_backward = self.pool(image, self.frame.window(*image.shape[1:3]))

        def backward(dy: Array) -> Array | None:
            return self.lower(image_backward(self.lift(dy))) if self.wants_dx else None

        return self.lower(y), backward

    def pool(self, image: Array, window: Window) -> tuple[Array, Backward]:
        """Make one number of every window; return the backward pass with it."""
        raise NotImplementedError(f"{type(self).__name__} must supply pool")


class _MaxPool(_Pool):
    def pool(self, image: Array, window: Window) -> tuple[Array, Backward]:
        """See `_Pool.pool`."""
        ops = self.ops
        y, index = ops.max_pool(image, window)
        return y, lambda dy: ops.max_pool_backward(image, index, dy, window)


class _AveragePool(_Pool):
    def pool(self, image: Array, window: Window) -> tuple[Array, Backward]:
        """See `_Pool.pool`."""
        ops = self.ops
        return ops.average_pool(image, window), lambda dy: ops.average_pool_backward(image, dy, window)


@dataclass(eq=False, repr=False)
class MaxPool2D(_MaxPool):
    """The largest of every window of an image, channel by channel.

    The gradient goes to the first of equals in the order of rows, on every backend. Padding is never the largest.

    Shapes: x (N, H, W, C) -> y (N, P, Q, C), P = (H - size) // stride + 1 without padding, ceil(H / stride) with
    "same".

    Args:
        pool_size: one number or (height, width).
        strides: pixels from one window to the next: one number or (down, along); None for pool_size.
        padding: "valid", "same", a number of pixels, or ((top, bottom), (left, right)); see `Conv2D`.

    Raises:
        OptionError: an option is out of its range, or padding is not smaller than the window.
        ShapeError: the inputs are no images; at build, if the window is larger than they are.
    """

    axes = 2


@dataclass(eq=False, repr=False)
class MaxPool1D(_MaxPool):
    """The largest of every window of a sequence: x (N, T, C) -> y (N, Q, C).

    A model with it takes no lengths, since padding would be counted.

    Args:
        pool_size: steps.
        strides: steps from one window to the next; None for pool_size.
        padding: "valid", "same", a number of steps, or ((before, after),).

    Raises:
        OptionError, ShapeError: as `MaxPool2D`.
    """

    axes = 1


@dataclass(eq=False, repr=False)
class AveragePool2D(_AveragePool):
    """The mean of every window of an image, channel by channel; padding is not counted, as in Keras.

    PyTorch counts it unless told count_include_pad=False.

    Shapes, Args, Raises: as `MaxPool2D`.
    """

    axes = 2


@dataclass(eq=False, repr=False)
class AveragePool1D(_AveragePool):
    """The mean of every window of a sequence: x (N, T, C) -> y (N, Q, C).

    A model with it takes no lengths, since padding would be counted.

    Args, Raises: as `MaxPool1D`.
    """

    axes = 1


@dataclass(eq=False, repr=False)
class _GlobalAveragePool(Windowed):
    def setup(self, builder: Builder, shape: Shape) -> Shape:
        """Leave the channels."""
        self.check_shape(builder, shape)
        return shape[-1:]

    def forward(self, x: Array, context: Context) -> tuple[Array, Backward]:
        """See `Layer.forward`."""
        del context
        self.check_inputs(x)
        ops, image = self.ops, self.lift(x)
        whole = Window((image.shape[1], image.shape[2]))
        y = ops.average_pool(image, whole)  # (N, 1, 1, C)

        def backward(dy: Array) -> Array | None:
            if not self.wants_dx:
                return None
            return self.lower(ops.average_pool_backward(image, ops.reshape(dy, tuple(y.shape)), whole))

        return ops.reshape(y, (x.shape[0], x.shape[-1])), backward


@dataclass(eq=False, repr=False)
class GlobalAveragePool2D(_GlobalAveragePool):
    """The mean of every channel of an image: x (N, H, W, C) -> y (N, C).

    Raises:
        ShapeError: the inputs are no images.
    Source: Lin et al. 2014, "Network in network".
    """

    axes = 2


@dataclass(eq=False, repr=False)
class GlobalAveragePool1D(_GlobalAveragePool):
    """The mean of every channel over all steps of a sequence: x (N, T, C) -> y (N, C).

    A model with it takes no lengths, since padding would be counted.

    Raises:
        ShapeError: the inputs are no sequences.
    """

    axes = 1
