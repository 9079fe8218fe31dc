"""Flat buffers: all values of a model in one array, each parameter a view of it.

One buffer holds the trainable values, one their gradients, one the non-trained state; an optimizer step is then
one kernel call. The parameters subject to weight decay come first, so that AdamW decays one range of the
buffer; L2 goes by parameter, since each may have a factor of its own.
Every view starts on a 64-byte boundary; the gaps hold zeros and stay zero under every update rule.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from nnx.interface import Array, Backend
from nnx.random import Floats

ALIGNMENT = 64


@dataclass(eq=False)
class Parameter:
    """One trainable array: its name and shape, and, once bound, its value and gradient.

    Attributes:
        name: its path in the model, such as "0.weight".
        shape: the shape of value and gradient.
        initial: the float64 values it starts from; let go once they are in the flat buffer.
        decayed: whether weight decay and L2 apply to it (weights yes; biases, scales and offsets no).
        l2: its own L2 factor lambda, or None to follow the model's.
        value, grad: views of the flat buffers, of the model's dtype.
    """

    name: str
    shape: tuple[int, ...]
    initial: Floats | None = field(repr=False)
    decayed: bool = False
    l2: float | None = None
    value: Array = field(default=None, repr=False)
    grad: Array = field(default=None, repr=False)


@dataclass(eq=False)
class State:
    """One array that training changes but no gradient does, such as a running mean.

    Attributes:
        least: the smallest value that it can have.
    """

    name: str
    shape: tuple[int, ...]
    initial: Floats | None = field(repr=False)
    value: Array = field(default=None, repr=False)
    least: float = field(default=-math.inf, repr=False)


@dataclass(frozen=True)
class Slot:
    """Where one array lies in a flat buffer, in elements."""

    start: int
    shape: tuple[int, ...]

    @property
    def place(self) -> slice:
        """Its elements."""
        return slice(self.start, self.start + math.prod(self.shape))

    def view(self, flat: Array, backend: Backend) -> Array:
        """Return that part of the buffer in its shape, sharing memory."""
        return backend.xp.reshape(flat[self.place], self.shape)


def lay_out(shapes: Sequence[tuple[int, ...]], itemsize: int) -> tuple[list[Slot], int]:
    """Place arrays one behind the other, each on a 64-byte boundary; return the slots and the total length."""
    step, start, slots = ALIGNMENT // itemsize, 0, []
    for shape in shapes:
        slots.append(Slot(start, shape))
        start += -(-math.prod(shape) // step) * step
    return slots, start


class Store:
    """The flat buffers of one model on one backend.

    Attributes:
        values, gradients: (P,) of the model's dtype.
        state: (S,) of the model's dtype.
        decayed: how many leading elements of `values` belong to decayed parameters.
        parameters, states: what the buffers consist of, in buffer order.
    """

    def __init__(
        self,
        backend: Backend,
        dtype: str,
        parameters: Sequence[Parameter],
        states: Sequence[State],
        zeros: Callable[[int], Floats] = np.zeros,
    ) -> None:
        """Lay the arrays out, allocate the buffers, bind every view and fill in the initial values.

        Args:
            backend: where the buffers are to lie.
            dtype: of their elements.
            parameters: what `values` and `gradients` consist of, in the order of the layers.
            states: what `state` consists of, likewise.
            zeros: makes the float64 vectors on the host that initial values are gathered in.
        """
        self.parameters = sorted(parameters, key=lambda parameter: not parameter.decayed)  # a stable sort
        self.states = list(states)
        self._declared: list[Parameter | State] = [*parameters, *states]
        itemsize = np.dtype(dtype).itemsize
        self.slots, total = lay_out([parameter.shape for parameter in self.parameters], itemsize)
        self._state_slots, state_total = lay_out([state.shape for state in self.states], itemsize)
        self.decayed = lay_out([p.shape for p in self.parameters if p.decayed], itemsize)[1]
        self._dtype = dtype
        values = self._gather(self.parameters, self.slots, zeros(total))
        self.bind(backend, values, self._gather(self.states, self._state_slots, zeros(state_total)))

    @staticmethod
    def _gather(arrays: Sequence[Parameter | State], slots: Sequence[Slot], flat: Floats) -> Floats:
        for array, slot in zip(arrays, slots, strict=True):
            if array.initial is not None:
                flat[slot.start : slot.start + array.initial.size] = array.initial.ravel()
            array.initial = None
        return flat

    def bind(self, backend: Backend, values: NDArray[np.floating], state: NDArray[np.floating]) -> None:
        """Put the buffers on a backend and point every parameter and state at its part of them."""
        self.values, self.state = backend.asarray(values, self._dtype), backend.asarray(state, self._dtype)
        self.gradients = backend.zeros(values.shape, self._dtype)
        for parameter, slot in zip(self.parameters, self.slots, strict=True):
            parameter.value = slot.view(self.values, backend)
            parameter.grad = slot.view(self.gradients, backend)
        for held, slot in zip(self.states, self._state_slots, strict=True):
            held.value = slot.view(self.state, backend)

    def named(self) -> dict[str, Array]:
        """Return the values of all parameters and states by name, as views of the buffers; layer by layer."""
        layers: dict[str, dict[str, Array]] = {}
        for item in self._declared:
            layers.setdefault(item.name.rpartition(".")[0], {})[item.name] = item.value
        return {name: value for held in layers.values() for name, value in held.items()}

    def named_slots(self) -> dict[str, Slot]:
        """Return where every parameter lies in `values` and `gradients`, by name, in the order of `named`."""
        slots = {held.name: slot for held, slot in zip(self.parameters, self.slots, strict=True)}
        return {name: slots[name] for name in self.named() if name in slots}

    def name_at(self, position: int) -> str:
        """Return the name of the parameter that an element of the flat buffers belongs to."""
        starts = [slot.start for slot in self.slots]
        return self.parameters[bisect_right(starts, position) - 1].name

    def impossible(self, state: NDArray[np.floating]) -> str | None:
        """Return the name of the first of the states that a buffer on the host holds too small a value for."""
        for held, slot in zip(self.states, self._state_slots, strict=True):
            if (state[slot.place] < held.least).any():
                return held.name
        return None

    def count(self) -> int:
        """Return the number of trainable values, gaps not counted."""
        return sum(math.prod(slot.shape) for slot in self.slots)
