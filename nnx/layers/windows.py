"""What layers that move windows over images or sequences share: their options, and the extents of the result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import ClassVar

from nnx.builder import Builder, Shape
from nnx.checks import check_count
from nnx.errors import OptionError, ShapeError
from nnx.interface import Array, Window
from nnx.interface.windows import Pair
from nnx.layers.base import Layer

Extents = int | tuple[int, ...]
"""A whole number for every axis, or one for each."""

Padding = str | int | tuple[Pair, ...]
""""valid", "same", so many pixels on every side, or (before, after) for each axis."""

_AXES = {1: ("steps", "(N, T, C)"), 2: ("rows and columns", "(N, H, W, C)")}


def check_extents(option: str, value: object, axes: int) -> Extents:
    """Return a whole number of at least 1, or a tuple of one for each axis."""
    if axes > 1 and isinstance(value, Sequence) and not isinstance(value, str) and len(value) == axes:
        return tuple(check_count(option, extent) for extent in value)
    if axes > 1 and not isinstance(value, Integral):
        raise OptionError(f"{option} must be a whole number or one for each of {_AXES[axes][0]}, got {value!r}.")
    return check_count(option, value)


def check_padding(value: object, axes: int) -> Padding:
    """Return "valid", "same", a whole number, or a pair of whole numbers for each axis."""
    if isinstance(value, str) and value in ("valid", "same"):
        return value
    if isinstance(value, Integral):
        return check_count("padding", value, 0)
    if isinstance(value, Sequence) and len(value) == axes and all(_is_pair(pair) for pair in value):
        return tuple((check_count("padding", a, 0), check_count("padding", b, 0)) for a, b in value)
    example = "((1, 1), (2, 2))" if axes == 2 else "((2, 0),)"
    if isinstance(value, str) and value.lower() in ("valid", "same"):
        raise OptionError(f"padding must be {value.lower()!r}, in small letters, got {value!r}.")
    raise OptionError(
        f'padding must be "valid", "same", a whole number, or (before, after) for each of {_AXES[axes][0]}, '
        f"such as {example}, got {value!r}."
    )


def _is_pair(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str) and len(value) == 2


@dataclass(frozen=True)
class Frame:
    """The options of a window that moves over images; a sequence is an image of one row.

    Attributes:
        size, stride, dilation: as in `Window`.
        padding: "same", or (before, after) along the height and along the width.
    """

    size: Pair
    stride: Pair
    padding: str | tuple[Pair, Pair]
    dilation: Pair

    @classmethod
    def of(cls, axes: int, size: Extents, stride: Extents, padding: Padding, dilation: Extents = 1) -> Frame:
        """Take checked options of so many axes."""
        if padding != "same":
            sides = 0 if isinstance(padding, str) else padding
            pairs = ((sides, sides),) * axes if isinstance(sides, int) else sides
            padding = pairs if axes == 2 else ((0, 0), *pairs)
        return cls(_pair(size, axes), _pair(stride, axes), padding, _pair(dilation, axes))  # type: ignore[arg-type]

    def window(self, height: int, width: int) -> Window:
        """Return the window on images of these extents.

        With "same" there are ceil(extent / stride) places, and what does not halve of the padding goes after, as in
        Keras; PyTorch, where it takes "same", pads alike.
        """
        plain = Window(self.size, self.stride, dilation=self.dilation)
        if not isinstance(self.padding, str):
            (top, bottom), (left, right) = self.padding
            return plain._replace(before=(top, left), after=(bottom, right))
        sides = [
            _same(extent, reach, step)
            for extent, reach, step in zip((height, width), plain.reach, plain.stride, strict=True)
        ]
        return plain._replace(before=(sides[0][0], sides[1][0]), after=(sides[0][1], sides[1][1]))


def _pair(value: Extents, axes: int) -> Pair:
    if isinstance(value, tuple):
        return value[0], value[1]
    return (value, value) if axes == 2 else (1, value)


def _same(extent: int, reach: int, stride: int) -> Pair:
    total = max((-(-extent // stride) - 1) * stride + reach - extent, 0)
    return total // 2, total - total // 2


class Windowed(Layer):
    """A layer of windows over the axes between the batch and the channels: two, or one taken as an image's width.

    Attributes:
        axes: how many axes the windows move along.
        frame: set by the subclass when it is built.
    """

    axes: ClassVar[int]
    frame: Frame

    def check_shape(self, builder: Builder, shape: Shape) -> None:
        """Raise ShapeError unless examples of that shape have the axes."""
        if len(shape) == self.axes + 1:
            return
        hint = builder.steps_hint(shape) if len(shape) == self.axes else ""
        raise ShapeError(f"{self!r} expects inputs {_AXES[self.axes][1]}, got examples of shape {shape}.{hint}")

    def places(self, shape: Shape) -> Shape:
        """Return how many places the window has along each axis of examples of that shape."""
        height, width = (1, shape[0]) if self.axes == 1 else shape[:2]
        window = self.frame.window(height, width)
        places = window.places(height, width)
        if min(places) < 1:
            reach, padded = (self._shown(pair) for pair in (window.reach, window.padded(height, width)))
            first = self.axes == 2 and height < min(width, shape[-1])
            raise ShapeError(
                f"{self!r} has windows of {reach}, larger than its inputs of {padded} with their padding; "
                f'make the windows smaller, or give padding="same".{" Channels come last: (N, H, W, C)." * first}'
            )
        return places[2 - self.axes :]

    def _shown(self, pair: Pair) -> str:
        return f"{pair[0]} x {pair[1]}" if self.axes == 2 else str(pair[1])

    def check_inputs(self, x: Array) -> None:
        """Raise ShapeError unless a batch has the axes."""
        if x.ndim != self.axes + 2:
            raise ShapeError(f"{self!r} expects inputs {_AXES[self.axes][1]}, got {tuple(x.shape)}.")

    def lift(self, x: Array) -> Array:
        """Return (N, T, C) as (N, 1, T, C), and images as they are."""
        return self.ops.reshape(x, (x.shape[0], 1, *x.shape[1:])) if self.axes == 1 else x

    def lower(self, x: Array) -> Array:
        """Return (N, 1, T, C) as (N, T, C), and images as they are."""
        return self.ops.reshape(x, (x.shape[0], *x.shape[2:])) if self.axes == 1 else x
