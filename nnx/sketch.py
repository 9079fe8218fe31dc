"""A model gone through without memory: its layers built and run with outlines in place of arrays."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nnx.border import has_time_axis
from nnx.builder import Builder, Claimable, Shape
from nnx.initializers import Initializer
from nnx.inputs import Examples, transfer
from nnx.interface import OutlineBackend, Scratch, Tape, outline
from nnx.layers import Chain, Context
from nnx.ops import Ops
from nnx.parameters import Store
from nnx.random import Floats
from nnx.steps import Batches
from nnx.tape import Kernel

if TYPE_CHECKING:
    from nnx.trainable import Trainable

_PLANNED = 1 << 27
"""Bytes of arrays up to which an engine is asked for the scratch of a step as it is."""


class _Tracing(Ops):
    """Operations on outlines: they allocate and check, and run nothing."""

    backend: OutlineBackend

    def __init__(self, backend: OutlineBackend, dtype: str) -> None:
        super().__init__(backend, dtype)
        self.tape = Tape()

    def call(self, kernel: Kernel, *arguments: Any) -> None:
        """See `OpsCore.call`; kernels of the interface are recorded as those of the engine."""
        if self.is_own(kernel):
            kernel = getattr(self.backend.engine, kernel.__name__)
        self.tape.append(kernel, arguments)


class _Tracer(Builder):
    """Collects what layers declare; nothing is drawn."""

    def drawn(self, path: str, shape: Shape, initializer: Initializer, copies: int) -> None:
        """See `Builder.drawn`."""


class Sketch:
    """A copy of a model whose arrays have no memory, for one shape of inputs.

    Attributes:
        layers: those that have been met, inner ones too, also where building them failed.
    """

    def __init__(self, model: Trainable) -> None:
        """Take the model; `build` comes next."""
        self._model = model
        self._known: dict[tuple[str, int], Scratch] = {}
        self.backend = OutlineBackend(model.backend)
        self.ops = _Tracing(self.backend, model.dtype)
        self.step = self.backend.empty((), "int64")
        self.dtype, self.vocabulary = model.dtype, model.vocabulary
        self.layers: list[Claimable] = list(model.chain.layers)
        if model.compiled:
            self.loss, self.optimizer, self.l2 = model.loss, model.optimizer, model.l2

    def build(self, input_shape: Shape) -> None:
        """Build a copy of the layers; those of the model stay as they are.

        Raises:
            ShapeError, OptionError: the layers do not fit together.
            MemoryLimitError: one of them is larger than any computer.
        """
        model, steps = self._model, has_time_axis(input_shape, self.vocabulary)
        self.chain = _copied(model)
        builder = _Tracer(self.ops, model.seed, self.step, owner=self.chain, steps=steps)
        self.layers = builder.layers  # filled while they are built
        self.input_shape, self.output_shape = input_shape, self.chain.build(builder, input_shape)
        self.store = Store(self.backend, self.dtype, builder.parameters, builder.states, _no_zeros)
        self.moments = [self.backend.empty(self.store.values.shape, self.dtype) for _ in model.moment_names]
        self.places: list[tuple[str, object]] = list(zip(builder.paths, builder.layers, strict=True))

    def examples(self, count: int) -> Examples:
        """Return so many examples without values."""
        tokens, labels = self.vocabulary is not None, self.loss.targets == "labels"
        x = outline((count, *self.input_shape), "int64" if tokens else self.dtype)
        shape = self.output_shape[:-1] if labels else self.output_shape
        targets = outline((count, *shape), "int64" if labels else self.dtype)
        return Examples(x, targets, steps=self.output_shape[:-1])

    def recorded(self, make: Callable[[Any, Batches], Callable[[int], None]], batches: Outlined) -> list[Recorded]:
        """Return what the recordings of a step take, one for each number of rows that comes up."""
        step, kind = make(self, batches), make.__name__
        return [self._followed(kind, lambda count: self._trace(step, count), rows) for rows in batches.kinds]

    def _trace(self, step: Callable[[int], object], rows: int) -> int:
        """Go through a step, which leaves its tape; return the bytes of its arrays."""
        self.ops.tape, before = Tape(), self.backend.taken
        step(rows)
        return self.backend.taken - before

    def _followed(self, kind: str, trace: Callable[[int], int], rows: int) -> Recorded:
        """Return arrays and scratch; for large arrays the scratch is that of fewer rows, and of what each adds.

        An engine that plans block by block would take as long to say it as the plan of the whole step takes.
        """

        def scratch(count: int) -> Scratch:
            if (kind, count) not in self._known:
                trace(count)
                self._known[kind, count] = _scratch(self.backend, self.ops.tape)
            return self._known[kind, count]

        arrays = trace(rows)
        most = 1 << (max(rows * _PLANNED // max(arrays, 1), 2).bit_length() - 1)  # few different ones
        if most >= rows:
            return Recorded(arrays, scratch(rows))
        pairs = zip(scratch(most), scratch(most // 2), strict=True)
        more, step = rows - most, most // 2
        return Recorded(arrays, Scratch(*(large + max(large - small, 0) * more // step for large, small in pairs)))

    def predicted(self, rows: int) -> int:
        """Return what a prediction takes."""
        dtype = "int64" if self.vocabulary is not None else self.dtype

        def step(count: int) -> None:
            self.chain.forward(self.backend.empty((count, *self.input_shape), dtype), Context(train=False))

        found = self._followed("prediction", lambda count: self._trace(step, count), rows)
        return found.arrays + found.scratch.thread


@dataclass(frozen=True)
class Recorded:
    """Bytes of one recording: its arrays, and the engine's scratch for it."""

    arrays: int
    scratch: Scratch


class Outlined(Batches):
    """Batches of a data set without its values.

    Attributes:
        taken: bytes of the data set on the device, with the order of the examples.
        kinds: the numbers of rows that batches have.
    """

    def __init__(self, ops: Ops, examples: Examples, size: int) -> None:
        """See `Batches`; the order takes no memory on the host either."""
        backend: Any = ops.backend
        before = backend.taken
        self.ops, self.examples, self.padded = ops, transfer(examples, ops), examples.padded
        self.count = examples.x.shape[0]
        self.size = min(size, self.count)
        self.steps = -(-self.count // self.size)
        self.number, self.order = ops.empty(dtype="int64"), ops.empty(self.count, dtype="int64")
        self.kinds = sorted({self.size, self.count % self.size or self.size})
        self.taken: int = backend.taken - before


def _no_zeros(count: int) -> Floats:
    return outline((count,), "float64")


def _scratch(backend: OutlineBackend, tape: Tape) -> Scratch:
    try:
        return backend.engine.scratch_of(tape)
    except (OSError, OverflowError):  # the system has not even addresses for it
        return Scratch()


def _copied(model: Trainable) -> Chain:
    """Return a copy of the layers that shares every array with them."""
    shared = [model.ops, model.backend]
    if model.built:
        store = model.store
        shared += [model.step, *store.parameters, *store.states]
        shared += [array for item in store.parameters for array in (item.value, item.grad)]
        shared += [item.value for item in store.states]
    return copy.deepcopy(model.chain, {id(thing): thing for thing in shared})
