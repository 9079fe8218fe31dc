"""What a layer is given while it is built, and where what it declares is collected."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from nnx.errors import MemoryLimitError, OptionError, ShapeError, in_units
from nnx.initializers import Initializer, InitializerLike, check_initializer, constant, drawing
from nnx.interface import Array, host_memory
from nnx.ops import Ops
from nnx.parameters import Parameter, State
from nnx.random import Floats, stream_of
from nnx.shortage import free_for

Shape = tuple[int, ...]


class Claimable(Protocol):
    """A layer, as far as a builder knows it."""

    owner: object | None

    @property
    def steps(self) -> str:
        """What it does with the axis of steps."""
        ...


@dataclass
class Builder:
    """Hands a layer all it needs while it is built, and collects what it declares.

    Attributes:
        ops: the operations of the model's backend.
        seed: the model's seed.
        step: () int64 on the device, the number of training steps done.
        path: the place of the layer being built, such as "2" or "3.0".
        parameters, states: what has been declared so far, in order.
        owner: the model being built.
        layers: the layers claimed so far, inner ones too, each after the one that holds it.
        paths: the place of each of them.
        steps: whether the first axis of the examples at this place holds the steps of the model's inputs.
        mixer: place and layer of the first that mixes these steps, see `Layer.steps`; None if there is none.
        last_states: whether a recurrent layer before this place gives only its last states.
        values: how many values have been declared so far.
    """

    ops: Ops
    seed: int
    step: Array
    path: str = ""
    parameters: list[Parameter] = field(default_factory=list)
    states: list[State] = field(default_factory=list)
    owner: object | None = None
    layers: list[Claimable] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    steps: bool = False
    mixer: tuple[str, Claimable] | None = None
    last_states: bool = False
    values: int = 0
    _claimed: set[int] = field(default_factory=set)  # identities of `layers`, for files of thousands of them

    @property
    def first(self) -> bool:
        """Whether the layer being built is the model's first, which takes what users give."""
        return self.path == "0"

    def claim(self, layer: Claimable) -> None:
        """Take a layer for the place being built: it uses one set of arrays, so it has one place in one model.

        Raises:
            OptionError: it has another place already.
        """
        if id(layer) in self._claimed:
            raise OptionError(f"the same layer object {layer!r} stands in two places; make one for each place.")
        if layer.owner is not None and layer.owner is not self.owner:
            raise OptionError(f"the layer object {layer!r} belongs to another model; make one for each model.")
        self._claimed.add(id(layer))
        self.layers.append(layer)
        self.paths.append(self.path)

    def follow_steps(self, layer: Claimable, before: bool) -> None:
        """Note what a layer, now built, has done with the axis of steps, if there was one before it."""
        if before and layer.steps == "mixed" and self.mixer is None:
            self.mixer = self.path, layer
        self.steps = before and layer.steps == "kept"

    def steps_hint(self, shape: Shape) -> str:
        """Return what to do about examples of `shape` whose axis of steps is missing."""
        if self.last_states:
            return " Set return_sequences=True in the recurrent layer before it."
        return f" Put Reshape({(*shape, 1)}) before it."

    def parameter(
        self,
        name: str,
        shape: Shape,
        initializer: InitializerLike,
        decayed: bool = False,
        l2: float | None = None,
    ) -> Parameter:
        """Declare a trainable array; weights are `decayed`, biases and scales are not.

        Raises:
            MemoryLimitError: there is no memory for it, or for the model so far.
        """
        path = f"{self.path}.{name}"
        initial = self.drawn(path, shape, check_initializer(initializer), copies=2)
        self.parameters.append(Parameter(path, shape, initial, decayed, l2))
        return self.parameters[-1]

    def state(self, name: str, shape: Shape, fill: float) -> State:
        """Declare an array that training changes without a gradient.

        Raises:
            MemoryLimitError: there is no memory for it, or for the model so far.
        """
        path = f"{self.path}.{name}"
        self.states.append(State(path, shape, self.drawn(path, shape, constant(fill), copies=1)))
        return self.states[-1]

    def drawn(self, path: str, shape: Shape, initializer: Initializer, copies: int) -> Floats | None:
        """Return initial values, of which the device will hold so many copies, the gradient being one."""
        self._check_memory(path, shape, drawing(initializer), copies)
        initial = np.asarray(initializer(shape, self.seed, stream_of(path)), np.float64)
        if initial.shape != shape:
            raise ShapeError(f"the initializer of {path!r} must return shape {shape}, got {initial.shape}.")
        return initial

    def _check_memory(self, path: str, shape: Shape, drawing: int, copies: int) -> None:
        """Refuse before it is drawn what there is no room for.

        What comes before has been drawn already. In the end, all is gathered array by array in a flat buffer of the
        host, and then copied to the device.
        """
        size, itemsize, backend = math.prod(shape), np.dtype(self.ops.dtype).itemsize, self.ops.backend
        self.values += size
        held, gathering = copies * itemsize * self.values, 2 * 8 * size
        if backend.on_host:
            needs = [(max(drawing * size, gathering, 8 * size + held), host_memory)]
        else:
            needs = [(max(drawing * size, gathering), host_memory), (held, backend.memory)]
        for needed, memory in needs:
            free = free_for(needed, memory)
            if free is not None and needed > free:
                what = f"Building the model up to {path}, of shape {shape} and {in_units(itemsize * size)} as "
                raise MemoryLimitError(f"{what}{self.ops.dtype},", needed, free, "make the layer smaller.")

    def stream(self, name: str) -> int:
        """Return the random stream of something in the layer being built."""
        return stream_of(f"{self.path}.{name}")


@dataclass
class Blank(Builder):
    """Collects what layers declare and draws nothing, since the values come from elsewhere.

    Attributes:
        room: how many values there may be.
    """

    room: float = math.inf

    def drawn(self, path: str, shape: Shape, initializer: Initializer, copies: int) -> Floats | None:
        """See `Builder.drawn`; zeros.

        Raises:
            ShapeError: there is no room for them.
        """
        del initializer
        self.room -= math.prod(shape)
        if self.room < 0:
            raise ShapeError("its layers have more values than there is room for.")
        return super().drawn(path, shape, constant(0.0), copies)
