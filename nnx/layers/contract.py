"""What a layer's two passes must give: checked each time their code runs, which replays of a recording do not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nnx.builder import Shape
from nnx.errors import OptionError, ShapeError
from nnx.interface import Array
from nnx.layers.base import Backward, Layer


@dataclass(frozen=True)
class Promise:
    """What a layer has said while it was built.

    Attributes:
        path: its place, such as "2" or "3.0".
        layer: the layer.
        shape: that of its outputs, without the batch axis.
        any_steps: whether the first extent is one of steps, which other batches may have more or fewer of.
    """

    path: str
    layer: Layer
    shape: Shape
    any_steps: bool

    @property
    def place(self) -> str:
        """The layer as errors name it."""
        return f"layer {self.path}, {self.layer!r}"

    def check_forward(self, x: Array, given: Any) -> tuple[Array, Backward]:
        """Return what `Layer.forward` gave for x.

        Raises:
            OptionError: it is not the output and the backward pass.
            ShapeError: the output has another shape than `Layer.setup` said.
        """
        if not isinstance(given, tuple) or len(given) != 2 or not callable(given[1]):
            raise OptionError(
                f"{self.place}: forward must return the output and the backward pass, a function of the output's "
                f"gradient, as (y, backward); got {_named(given)}."
            )
        shape, skipped = tuple(given[0].shape), 1 + self.any_steps
        if (
            len(shape) != 1 + len(self.shape)
            or shape[skipped:] != self.shape[skipped - 1 :]
            or shape[0] != x.shape[0]
        ):
            said = ", ".join(map(str, self.shape))
            raise ShapeError(
                f"{self.place}: setup said that outputs have shape (N, {said}), but forward gave {shape} for "
                f"inputs of shape {tuple(x.shape)}."
            )
        return given

    def check_backward(self, shape: Shape, gradient: Array | None) -> Array | None:
        """Return what the backward pass gave for inputs of a shape, the batch axis included.

        Raises:
            OptionError: it is nothing, though layers before this one learn.
            ShapeError: it has another shape than the inputs.
        """
        if gradient is None and self.layer.wants_dx and self.layer.takes != "tokens":
            raise OptionError(
                f"{self.place}: backward must return the gradient by its input, got None, so "
                "that the layers before it would learn nothing."
            )
        if gradient is not None and tuple(gradient.shape) != shape:
            raise ShapeError(
                f"{self.place}: backward must return the gradient by its input, of shape {shape}, "
                f"got shape {tuple(gradient.shape)}."
            )
        return gradient


def _named(given: object) -> str:
    if isinstance(given, tuple):
        return f"({', '.join(type(item).__name__ for item in given)})"
    return f"{type(given).__name__} alone"
