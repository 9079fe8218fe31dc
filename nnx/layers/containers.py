"""Layers made of layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from nnx.builder import Builder, Shape
from nnx.errors import OptionError, ShapeError
from nnx.interface import Array
from nnx.layers.base import Backward, Context, Layer
from nnx.layers.contract import Promise


class Observer:
    """Is shown what every layer of a chain computes; override what you need."""

    def forward(self, index: int, output: Array) -> None:
        """See the output of a layer, by its place."""

    def loss(self) -> None:
        """Be told that the loss is computed, and the backward pass about to begin."""

    def backward(self, index: int, gradient: Array | None) -> None:
        """See the gradient of a layer's input, None where nothing before it can learn."""


class Chain(Layer):
    """One layer after another.

    Attributes:
        layers: what it consists of.
        shapes: the output shape of each layer, known once built.
    """

    def __init__(self, layers: Sequence[Layer]) -> None:
        """Take the layers, each of which may stand in one place only.

        Raises:
            OptionError: something is not a layer, or one layer stands in two places.
        """
        if not isinstance(layers, Sequence):
            raise OptionError(f"layers must be a list of nnx layers, got {layers!r}.")
        self.layers = list(layers)
        for layer in self.layers:
            if not isinstance(layer, Layer):
                raise OptionError(f"layers must be nnx layers such as Dense(10), got {layer!r}.")
        if len({id(layer) for layer in self.layers}) < len(self.layers):
            raise OptionError("layers holds the same layer object twice; make one object for each place.")
        self.shapes: list[Shape] = []
        self._promises: list[Promise] = []
        self._ending: Layer | None = None
        self.streams = all(layer.streams for layer in self.layers)

    def setup(self, builder: Builder, shape: Shape) -> Shape:
        """Build the layers, each on the output shape of the one before."""
        outer, self.shapes, self._promises, self._ending = builder.path, [], [], None
        for index, layer in enumerate(self.layers):
            builder.path = f"{outer}.{index}" if outer else str(index)
            before = builder.steps
            shape = layer.build(builder, shape)
            self.shapes.append(shape)
            any_steps = builder.steps or (layer.streams and len(shape) > 1)
            self._promises.append(Promise(builder.path, layer, shape, any_steps))
            if before and not builder.steps:
                self._ending = layer
        builder.path, self.steps = outer, "kept" if builder.steps else "ended"
        return shape

    def forward(self, x: Array, context: Context) -> tuple[Array, Backward]:
        """See `Layer.forward`."""
        return self.observed_forward(x, context, Observer())

    def observed_forward(self, x: Array, context: Context, observer: Observer) -> tuple[Array, Backward]:
        """Run `forward`, showing every layer's results to the observer, those of the backward pass too.

        Lengths count the steps of the inputs: layers after the one that ends these are given none.
        """
        backwards: list[Backward] = []
        shapes: list[Shape] = []  # of the inputs
        for index, (layer, promise) in enumerate(zip(self.layers, self._promises, strict=True)):
            shapes.append(tuple(x.shape))
            x, backward = promise.check_forward(x, layer.forward(x, context))
            observer.forward(index, x)
            if layer is self._ending:
                context = replace(context, lengths=None)
            backwards.append(backward)

        def backward_all(dy: Array) -> Array | None:
            gradient: Array | None = dy
            for index in reversed(range(len(backwards))):
                if gradient is None:
                    break
                gradient = self._promises[index].check_backward(shapes[index], backwards[index](gradient))
                observer.backward(index, gradient)
            return gradient

        return x, backward_all


@dataclass(eq=False, repr=False)
class Residual(Layer):
    """Add what some layers make of the input to the input itself: y = x + f(x).

    Shapes: x (N, ...) -> y (N, ...), f keeping the shape.

    Args:
        layers: f, one layer after another.

    Raises:
        ShapeError: at build, if f changes the shape.
    Source: He et al. 2016.
    """

    layers: Sequence[Layer]

    def __post_init__(self) -> None:
        """Make f."""
        self._inner = Chain(self.layers)
        self.layers, self.streams = self._inner.layers, self._inner.streams

    def setup(self, builder: Builder, shape: Shape) -> Shape:
        """Build f."""
        out = self._inner.build(builder, shape)
        self.steps = self._inner.steps
        if out != shape:
            shrunk = len(out) == len(shape) > 1 and out[:-1] != shape[:-1]
            hint = ' Give convolutions and pooling padding="same" and strides of 1.' if shrunk else ""
            raise ShapeError(f"Residual expects layers that keep the shape {shape}, got {out} out of them.{hint}")
        return shape

    def forward(self, x: Array, context: Context) -> tuple[Array, Backward]:
        """See `Layer.forward`."""
        ops = self.ops
        f, inner_backward = self._inner.forward(x, context)

        def backward(dy: Array) -> Array | None:
            dx = inner_backward(dy)
            return ops.add(dy, dx) if self.wants_dx and dx is not None else None

        return ops.add(x, f), backward


@dataclass(eq=False, repr=False)
class TimeDistributed(Layer):
    """Map every step of a sequence by the same layers, as if each were an example of its own.

    `Dense`, `Activation`, `Dropout` and the normalisations map steps by themselves; this is for those that take all
    axes of an example, such as a convolution of every image of a film. Padded steps are mapped like all others.

    Shapes: x (N, T, ...) -> y (N, T, ...), the layers mapping (N T, ...) to (N T, ...).

    Args:
        layers: one after another.

    Raises:
        ShapeError: the inputs have no axis of steps, or no other besides, or the layers cannot take their steps.
    """

    streams = True
    steps = "kept"

    layers: Sequence[Layer]

    def __post_init__(self) -> None:
        """Make one of the layers."""
        self._inner = Chain(self.layers)
        self.layers = self._inner.layers

    def setup(self, builder: Builder, shape: Shape) -> Shape:
        """Build the layers for one step."""
        if len(shape) < 2:
            hint = builder.steps_hint(shape) if shape else ""
            raise ShapeError(
                f"TimeDistributed expects sequences (N, T, ...) of steps with at least one axis, got examples of "
                f"shape {shape}.{hint}"
            )
        builder.steps = False  # the layers see each step as an example
        return (shape[0], *self._inner.build(builder, shape[1:]))

    def forward(self, x: Array, context: Context) -> tuple[Array, Backward]:
        """See `Layer.forward`; the layers know nothing of lengths and states, since they see no sequences."""
        ops, (count, steps, *_) = self.ops, x.shape
        share = None if context.share is None else context.share.folded(steps)
        y, inner_backward = self._inner.forward(self._folded(x), Context(context.train, share=share))

        def backward(dy: Array) -> Array | None:
            dx = inner_backward(self._folded(dy))
            return None if dx is None else ops.reshape(dx, tuple(x.shape))

        return ops.reshape(y, (count, steps, *y.shape[1:])), backward

    def _folded(self, x: Array) -> Array:
        return self.ops.reshape(x, (x.shape[0] * x.shape[1], *x.shape[2:]))
