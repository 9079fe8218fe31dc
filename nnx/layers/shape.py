"""Layers that only change the shape; they copy nothing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral

from nnx.builder import Builder, Shape
from nnx.errors import ShapeError
from nnx.interface import Array
from nnx.layers.base import Backward, Context, Layer


class _View(Layer):
    """Give the inputs another shape, and the gradients their former one."""

    def forward(self, x: Array, context: Context) -> tuple[Array, Backward]:
        """See `Layer.forward`."""
        del context
        ops, former = self.ops, tuple(x.shape)
        target = (former[1], *self._target[1:]) if self.steps == "kept" else self._target
        return ops.reshape(x, (former[0], *target)), lambda dy: ops.reshape(dy, former)

    _target: Shape


@dataclass(eq=False, repr=False)
class Flatten(_View):
    """Make one axis of all but the batch's: (N, ...) -> (N, F).

    After an axis of steps, a model with it takes no lengths: padding would be among the features.
    """

    def setup(self, builder: Builder, shape: Shape) -> Shape:
        """Compute the number of features."""
        del builder
        self._target = (math.prod(shape),)
        return self._target


@dataclass(eq=False, repr=False)
class Reshape(_View):
    """Give each example another shape of as many elements: (N, ...) -> (N, *shape).

    Args:
        shape: the shape without the batch axis; one extent may be -1 and is then computed.

    Raises:
        ShapeError: at build, if the numbers of elements differ.
    """

    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        """Check the option."""
        if not isinstance(self.shape, Sequence) or not all(isinstance(extent, Integral) for extent in self.shape):
            raise ShapeError(f"Reshape expects a shape of whole numbers, such as (28, 28), got {self.shape!r}.")
        self.shape = tuple(int(extent) for extent in self.shape)
        if self.shape.count(-1) > 1 or any(extent < -1 or extent == 0 for extent in self.shape):
            raise ShapeError(f"Reshape expects extents of at least 1, and at most one -1, got {self.shape}.")

    def setup(self, builder: Builder, shape: Shape) -> Shape:
        """Fill in an extent given as -1."""
        del builder
        known = math.prod(extent for extent in self.shape if extent != -1)
        missing = math.prod(shape) // known
        self._target = tuple(missing if extent == -1 else extent for extent in self.shape)
        if math.prod(self._target) != math.prod(shape):
            raise ShapeError(f"{self!r} cannot hold the {math.prod(shape)} elements of {shape}.")
        stepwise = len(self._target) > 1 and self._target[0] == shape[0]
        self.steps = "kept" if stepwise else "mixed"
        return self._target
