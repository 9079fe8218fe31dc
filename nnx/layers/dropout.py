"""Dropout of elements and of whole channels."""

from __future__ import annotations

from dataclasses import dataclass

from nnx.builder import Builder, Shape
from nnx.checks import check_number
from nnx.errors import ShapeError
from nnx.interface import Array
from nnx.layers.base import Backward, Context, Layer


@dataclass(eq=False, repr=False)
class _Dropping(Layer):
    streams = True
    steps = "kept"

    rate: float

    def __post_init__(self) -> None:
        """Check the option."""
        self.rate = check_number("rate", self.rate, 0, 1)

    def setup(self, builder: Builder, shape: Shape) -> Shape:
        """Remember where the random bits come from."""
        self._step, self._seed, self._stream = builder.step, builder.seed, builder.stream("mask")
        self._threshold = max(round((1 - self.rate) * 65536), 1)
        return shape

    def forward(self, x: Array, context: Context) -> tuple[Array, Backward]:
        """See `Layer.forward`."""
        if not context.train or self._threshold == 65536:
            return x, lambda dy: dy
        first = 0 if context.share is None else context.share.first
        return self.drop(x, first), lambda dy: self.drop(dy, first) if self.wants_dx else None

    def drop(self, x: Array, first: int) -> Array:
        """Apply the mask of this step to rows of the batch from `first` on, of the inputs and of the gradient."""
        raise NotImplementedError(f"{type(self).__name__} must supply drop")


@dataclass(eq=False, repr=False)
class Dropout(_Dropping):
    """Set each element to zero with probability `rate` in training and scale the others by 1 / (1 - rate).

    The mask depends only on (seed, layer, step, sample, feature): the same on every backend, eager or replayed.
    The probability of keeping is rounded to a multiple of 2^-16, and the scale is the inverse of the rounded
    value, so that the expectation is exact. Prediction passes x through.

    Shapes: x (N, ...) -> y (N, ...).

    Args:
        rate: the probability of dropping an element, in [0, 1).

    Raises:
        OptionError: rate is out of its range.
    Source: Srivastava et al. 2014.
    """

    def drop(self, x: Array, first: int) -> Array:
        """See `_Dropping.drop`."""
        return self.ops.dropout(x, self._step, self._seed, self._stream, self._threshold, first)


@dataclass(eq=False, repr=False)
class SpatialDropout(_Dropping):
    """`Dropout` of whole channels (the last axis): all pixels of an image, or steps of a sequence, share the mask.

    Neighbours are so alike that dropping single elements would take little away.

    Shapes: x (N, ..., C) -> y (N, ..., C).

    Args:
        rate: the probability of dropping a channel, in [0, 1).

    Raises:
        OptionError: rate is out of its range.
        ShapeError: at build, if the inputs have no axis besides the batch.
    Source: Tompson et al. 2015.
    """

    def setup(self, builder: Builder, shape: Shape) -> Shape:
        """Remember where the random bits come from."""
        if not shape:
            raise ShapeError(f"{self!r} expects inputs (N, ..., C), got examples of shape {shape}.")
        return super().setup(builder, shape)

    def drop(self, x: Array, first: int) -> Array:
        """See `_Dropping.drop`."""
        return self.ops.channel_dropout(x, self._step, self._seed, self._stream, self._threshold, first)
