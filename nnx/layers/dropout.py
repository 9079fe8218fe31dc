"""Dropout."""

from __future__ import annotations

from dataclasses import dataclass

from nnx.builder import Builder, Shape
from nnx.checks import check_number
from nnx.interface import Array
from nnx.layers.base import Backward, Context, Layer


@dataclass(eq=False, repr=False)
class Dropout(Layer):
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

    streams = True

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
        ops, bits = self.ops, (self._step, self._seed, self._stream, self._threshold)
        return ops.dropout(x, *bits), lambda dy: ops.dropout(dy, *bits) if self.wants_dx else None
