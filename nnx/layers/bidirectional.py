"""Recurrent layers that read sequences both ways."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from nnx.builder import Builder, Shape
from nnx.errors import OptionError
from nnx.interface import Array
from nnx.layers.base import Backward, Context, Layer
from nnx.layers.unrolling import Recurrent

_Halves = tuple[Array, Array]

MERGES = ("concat", "sum")


@dataclass(eq=False, repr=False)
class Bidirectional(Layer):
    """Read sequences in both directions, by two layers with parameters of their own.

    Without return_sequences, both give their last states: the second one's is that after the first step. Lengths
    hold for both; the second begins with the last real step.

    Shapes: x (N, T, F) -> y (N, 2 H), or (N, T, 2 H) with return_sequences, the output of `layer` before that of
    its twin; H instead of 2 H with "sum". The parameters of `layer` are named "0.weight" and so on, those of the
    twin "1.weight": of a Bidirectional that is layer 2 of a model, "2.0.weight", "2.1.weight".

    Args:
        layer: a recurrent layer; the other is made of its options, with go_backwards turned round.
        merge: "concat" or "sum".

    Raises:
        OptionError: layer is not recurrent, or gives its states; in use, in a stream.
    Source: Schuster & Paliwal 1997.

    Elsewhere: "0." is forward_layer of Keras and what PyTorch names without _reverse; "1." is backward_layer, and
    what PyTorch names with it. The outputs have the same order.
    """

    layer: Layer
    merge: str = "concat"

    def __post_init__(self) -> None:
        """Make the twin."""
        if not isinstance(self.layer, Recurrent):
            raise OptionError(f"layer must be a SimpleRNN, LSTM or GRU, got {self.layer!r}.")
        if self.layer.return_state:
            raise OptionError("layer must not return_state in Bidirectional, whose two layers end at both ends.")
        if self.merge not in MERGES:
            raise OptionError(f'merge must be "concat" or "sum", got {self.merge!r}.')
        options = {**self.layer.config(), "go_backwards": not self.layer.go_backwards}
        self._layers, self.steps = (self.layer, type(self.layer)(**options)), self.layer.steps

    def setup(self, builder: Builder, shape: Shape) -> Shape:
        """Build both layers on the same inputs."""
        outer, out = builder.path, shape
        for index, layer in enumerate(self._layers):
            builder.path = f"{outer}.{index}"
            out = layer.build(builder, shape)
            layer.wants_dx = self.wants_dx  # the first one's parameters do not lie before the second
        builder.path = outer
        return (*out[:-1], 2 * out[-1]) if self.merge == "concat" else out

    def forward(self, x: Array, context: Context) -> tuple[Array, Backward]:
        """See `Layer.forward`."""
        if context.states is not None:
            raise OptionError(f"{self!r} begins with the last step too, which a stream has not reached yet.")
        ops, (first, second) = self.ops, self._layers
        (a, first_backward), (b, second_backward) = first.forward(x, context), second.forward(x, context)
        merge, part = self._merging()

        def backward(dy: Array) -> Array | None:
            da, db = part(dy)
            dx, other = first_backward(da), second_backward(db)
            return None if dx is None else ops.add(dx, other)

        return merge(a, b), backward

    def _merging(self) -> tuple[Callable[[Array, Array], Array], Callable[[Array], _Halves]]:
        """Return what makes one output of two, and two gradients of one."""
        ops = self.ops
        if self.merge == "sum":
            return ops.add, lambda dy: (dy, dy)
        return ops.join, lambda dy: ops.split(dy, dy.shape[-1] // 2)
