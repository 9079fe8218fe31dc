"""What recurrent layers share: their options, and one call that runs whole sequences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import ClassVar, NamedTuple, Protocol

from nnx.builder import Builder, Shape
from nnx.checks import check_count, check_flag, check_number
from nnx.errors import OptionError, ShapeError
from nnx.initializers import InitializerLike, check_initializer
from nnx.interface import Array
from nnx.layers.base import Backward, Context, Layer

PerState = tuple[Array | None, ...]
"""An array (N, H) for each of a layer's states, h and then c where there is one: a value, or a gradient.

None stands for a state that begins with zeros, and for a gradient that nothing depends on or that is not wanted.
"""


class UnrolledBackward(Protocol):
    """Maps the gradients of what came out of a run to those of what went in."""

    def __call__(self, dy: Array | None, dstates: PerState = ()) -> tuple[Array | None, PerState]:
        """Write the gradients of the parameters; return those of the inputs and of the initial states.

        Args:
            dy: (N, T, H), the gradient of y; None where nothing depends on it.
            dstates: the gradients of the last states, each (N, H) or None; () where nothing depends on any.

        Returns:
            dx, None where nothing before the layer can learn; and the gradient of each initial state, None where
            the run began with zeros.

        Raises:
            ShapeError, DtypeError, BackendError: a gradient is not like what it is the gradient of.
        """
        ...


class Unrolled(NamedTuple):
    """What a run over whole sequences leaves.

    Attributes:
        y: (N, T, H), the state h after each step, 0 in padding.
        states: the last states, each (N, H): h, and c of an LSTM.
        backward: the backward pass.
    """

    y: Array
    states: tuple[Array, ...]
    backward: UnrolledBackward


@dataclass(eq=False, repr=False)
class Recurrent(Layer):
    """Base of the layers that carry a state from step to step.

    A subclass names its states, says how many gates its weights hold, and runs the kernel in `recur`.
    """

    units: int
    _: KW_ONLY
    return_sequences: bool = False
    return_state: bool = False
    go_backwards: bool = False
    init: InitializerLike = "glorot_uniform"
    recurrent_init: InitializerLike = "orthogonal"
    bias: bool = True
    l2: float | None = None

    state_names: ClassVar[tuple[str, ...]] = ("h",)
    gates: ClassVar[int]

    def __post_init__(self) -> None:
        """Check the options."""
        self.units = check_count("units", self.units)
        for option in ("return_sequences", "return_state", "go_backwards", "bias"):
            setattr(self, option, check_flag(option, getattr(self, option)))
        check_initializer(self.init)
        check_initializer(self.recurrent_init)
        if self.l2 is not None:
            self.l2 = check_number("l2", self.l2, 0)
        if self.return_sequences and self.return_state:
            raise OptionError(
                "return_sequences and return_state exclude each other, since a layer has one output; "
                f"call {type(self).__name__}.unroll from a layer of your own to have both."
            )
        self.streams = not self.go_backwards
        self.steps = "kept" if self.return_sequences else "ended"

    def setup(self, builder: Builder, shape: Shape) -> Shape:
        """Declare W, U and b."""
        if len(shape) != 2:
            hint = builder.steps_hint(shape) if len(shape) == 1 else ""
            raise ShapeError(f"{self!r} expects sequences (N, T, F), got examples of shape {shape}.{hint}")
        steps, features = shape
        wide = self.gates * self.units
        self._weight = builder.parameter("weight", (features, wide), self.init, True, self.l2)
        recurrent = (self.units, wide)
        self._recurrent = builder.parameter("recurrent_weight", recurrent, self.recurrent_init, True, self.l2)
        self._bias = builder.parameter("bias", (wide,), self.bias_init()) if self.bias else None
        if self.return_sequences:
            return steps, self.units
        builder.last_states = True
        return (self.units * (len(self.state_names) if self.return_state else 1),)

    def bias_init(self) -> InitializerLike:
        """Return the initialiser of b."""
        return "zeros"

    def forward(self, x: Array, context: Context) -> tuple[Array, Backward]:
        """See `Layer.forward`."""
        run = self.unroll(x, context, self._carried(context))
        if context.states is not None:
            context.states[self] = run.states
        if self.return_sequences:
            return run.y, lambda dy: run.backward(dy)[0]
        if self.return_state and len(run.states) > 1:
            return self.ops.join(*run.states), lambda dy: run.backward(None, self.ops.split(dy, self.units))[0]
        unused = (None,) * (len(run.states) - 1)
        return run.states[0], lambda dh: run.backward(None, (dh, *unused))[0]

    def _carried(self, context: Context) -> tuple[Array, ...] | None:
        if context.states is None:
            return None
        if self.go_backwards:
            raise OptionError(f"{self!r} begins with the last step, which a stream has not reached yet.")
        return context.states.get(self)

    def unroll(self, x: Array, context: Context, states: Sequence[Array | None] | None = None) -> Unrolled:
        """Run whole sequences from given states: for layers of your own, such as an encoder with its decoder.

        Args:
            x: (N, T, F).
            context: whose lengths say how many steps of each sequence are real; its states are not looked at.
            states: where to begin, as `Unrolled.states` has them: (N, H) each, or None for one of zeros; None for
                zeros throughout.

        Raises:
            ShapeError: x or a state has another shape, or there are more or fewer states than `state_names`.
            DtypeError: a state has another dtype than the weights, or is no array; lengths are not int64.
            BackendError: a state lives on another backend.

        Examples:
            The decoder begins where the encoder ended, and the gradient takes the same way back. Every step of x
            holds A features for the encoder, and beside them those that the decoder reads.

            >>> from dataclasses import dataclass
            >>> @dataclass(eq=False, repr=False)
            ... class EncoderDecoder(nnx.Layer):
            ...     source: int  # A
            ...     units: int
            ...
            ...     def setup(self, builder, shape):
            ...         (steps, features), outer = shape, builder.path
            ...         self.encoder, self.decoder = nnx.LSTM(self.units), nnx.LSTM(self.units)
            ...         widths = {"encoder": self.source, "decoder": features - self.source}
            ...         for name, width in widths.items():
            ...             builder.path, layer = f"{outer}.{name}", getattr(self, name)
            ...             layer.build(builder, (steps, width))
            ...             layer.wants_dx = self.wants_dx
            ...         builder.path = outer
            ...         return steps, self.units
            ...
            ...     def forward(self, x, context):
            ...         source, target = self.ops.split(x, self.source)
            ...         read = self.encoder.unroll(source, context)
            ...         written = self.decoder.unroll(target, context, read.states)
            ...
            ...         def backward(dy):
            ...             dtarget, dstates = written.backward(dy)
            ...             dsource, _ = read.backward(None, dstates)
            ...             return self.ops.join(dsource, dtarget) if self.wants_dx else None
            ...
            ...         return written.y, backward
            >>> nnx.Sequential([EncoderDecoder(source=3, units=4), nnx.Dense(2)], input_shape=(5, 6)).output_shape
            (5, 2)
        """
        ops, weight, bias = self.ops, self._weight, self._bias
        if x.ndim != 3 or x.shape[2] != weight.shape[0]:
            raise ShapeError(f"{self!r} expects sequences (N, T, {weight.shape[0]}), got {tuple(x.shape)}.")
        xw = ops.linear(x, weight.value, bias and bias.value)  # (N, T, gates H), all steps in one product
        run = self.recur(xw, context.lengths, self._one_each(states))

        def backward(dy: Array | None, dstates: PerState = ()) -> tuple[Array | None, PerState]:
            dxw, initial = run.backward(dy, self._one_each(dstates if len(dstates) else None))
            into = weight.grad, bias and bias.grad
            dx = ops.linear_backward(x, xw, dxw, weight.value, *into, "identity", 0.0, self.wants_dx)
            return dx, initial

        return Unrolled(run.y, run.states, backward)

    def _one_each(self, given: Sequence[Array | None] | None) -> PerState:
        """Return one entry for each state; those that are arrays are checked where the kernel is called."""
        if given is None:
            return (None,) * len(self.state_names)
        if len(given) != len(self.state_names):
            raise ShapeError(f"{self!r} has the states {', '.join(self.state_names)}, got {len(given)} of them.")
        return tuple(given)

    def recur(self, xw: Array, lengths: Array | None, states: PerState) -> Unrolled:
        """Run the kernel over what the inputs contribute, (N, T, gates H); its backward pass returns dxw."""
        raise NotImplementedError(f"{type(self).__name__} must supply recur")
