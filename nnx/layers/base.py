"""What a layer is: it declares its arrays when it is built, and its forward pass returns its backward pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from typing import Any, ClassVar, Protocol

from nnx.builder import Builder, Shape
from nnx.errors import OptionError, ShapeError
from nnx.interface import Array
from nnx.ops import Ops

Backward = Callable[[Array], Array | None]
"""Maps the gradient of a layer's output to that of its input; None where nothing before it can learn."""


States = dict["Layer", tuple[Array, ...]]
"""The states of recurrent layers, each (N, H): h, and c where there is one."""


class Share(Protocol):
    """What one process has of a batch that several share, for the layers to whom the whole batch matters."""

    @property
    def first(self) -> int:
        """The number of its first row in the batch."""
        ...

    def folded(self, times: int) -> Share:
        """Return the share of a batch in which every row has become `times` rows."""
        ...

    def batch_norm(
        self,
        ops: Ops,
        x: Array,
        scale: tuple[Array, Array],
        running: tuple[Array, Array],
        momentum: float,
        eps: float,
    ) -> tuple[Array, Array, Array]:
        """Do as `Ops.batch_norm` over the whole batch; scale is (gamma, beta), running (mean, var)."""
        ...

    def batch_norm_backward(
        self,
        ops: Ops,
        x: Array,
        gamma: Array,
        statistics: tuple[Array, Array],
        dy: Array,
        into: tuple[Array, Array],
        wants_dx: bool,
    ) -> Array | None:
        """Do as `Ops.batch_norm_backward`; statistics are (mean, rstd), `into` receives this process's part."""
        ...


@dataclass(frozen=True, eq=False)
class Context:
    """What a forward pass is for, and what it carries besides the values of the layers.

    Attributes:
        train: whether it is one of training; else it is one of prediction.
        lengths: (N,) int64, how many steps of each sequence are real; None for all.
        states: where the recurrent layers begin, and put what they end with; None begins with zeros.
        share: what this process has of a batch of training that several share; None for all of it.
    """

    train: bool
    lengths: Array | None = None
    states: States | None = None
    share: Share | None = None


class Layer:
    """Base of all layers.

    A subclass is a dataclass whose fields are its options. `build` declares parameters and returns the output
    shape; `forward` returns the output and the backward pass as a closure, which must write the `grad` of every
    declared parameter each time: gradients are not cleared between steps.

    Both passes run on `self.ops` alone. Training records the operations of one step and replays the recording:
    other array code would run once, while the step is recorded, and never again. A model with layers of one's own
    is checked for that at its first replay; `nnx.check_gradients` compares their gradients with differences.

        @dataclass(eq=False, repr=False)
        class TanhResidual(nnx.Layer):                           # y = x + tanh x; its fields would be options
            def forward(self, x, context):
                ops = self.ops
                t = ops.activate(x, "tanh", 0.0)

                def backward(dy):
                    return ops.add(dy, ops.activate_backward(x, t, dy, "tanh", 0.0))

                return ops.add(x, t), backward

    A layer with parameters overrides `setup` too; `nnx/layers/dense.py` is a model of one.

    Attributes:
        takes: "numbers", or "tokens" where the inputs are int64 numbers of things, as those of `Embedding`.
        streams: whether the steps of a sequence (N, T, ...) may come in several calls: each step is mapped on its
            own, or what it needs of those before is kept in `Context.states`.
        steps: what it does with the axis of steps (N, T, ...), of which some may be padding by `Context.lengths`.
            "kept": outputs have it too, real steps come of real ones alone, and T may be any number; "ended": as
            before, but outputs have no such axis; "mixed": it would take padding for steps, or knows one T only,
            so that a model with it refuses lengths. Layers inside are asked by themselves, unless `setup` sets
            `Builder.steps` to False before it builds them.
        ops: the operations of the model's backend, set when the layer is built.
        wants_dx: whether the gradient of the input is of use to anything before this layer.
        owner: the model whose arrays the layer uses; None until one is built with it.
    """

    takes: ClassVar[str] = "numbers"
    streams: bool = False
    steps: str = "mixed"
    ops: Ops
    wants_dx: bool
    owner: object | None = None

    def build(self, builder: Builder, shape: Shape) -> Shape:
        """Declare what the layer needs for inputs of `shape` (without the batch axis); return its output shape.

        Raises:
            ShapeError: the layer cannot take such inputs.
            OptionError: it stands in another place or model already.
        """
        builder.claim(self)
        self.ops, self.wants_dx = builder.ops, bool(builder.parameters)
        before = builder.steps
        out = self.setup(builder, shape)
        builder.follow_steps(self, before)
        if builder.steps and (len(out) < 2 or out[0] != shape[0]):
            raise ShapeError(f"{self!r} should keep the steps of {shape}, but gives {out}.")
        return out

    def setup(self, builder: Builder, shape: Shape) -> Shape:
        """Declare parameters, states and streams; by default none, and the shape stays."""
        del builder
        return shape

    def forward(self, x: Array, context: Context) -> tuple[Array, Backward]:
        """Map a batch (N, *input shape) to (N, *output shape), and return the backward pass with it.

        Raises:
            OptionError: the class does not override it.
        """
        del x, context
        raise OptionError(f"{type(self).__name__} must supply forward(x, context), which returns (y, backward).")

    def config(self) -> dict[str, Any]:
        """Return the options, by field name; `type(self)(**config)` makes an equal layer (inner ones shared)."""
        return {item.name: getattr(self, item.name) for item in self._options()}

    def _options(self) -> tuple[Field[Any], ...]:
        return fields(self) if is_dataclass(self) else ()

    def __repr__(self) -> str:
        given = [
            repr(getattr(self, item.name))
            if item.default is MISSING
            else f"{item.name}={getattr(self, item.name)!r}"
            for item in self._options()
            if getattr(self, item.name) != item.default
        ]
        return f"{type(self).__name__}({', '.join(given)})"
