"""How a kernel runs: as primitive calls on views that are cut before the first of the calls is made.

A kernel of this backend is written once, as a method that takes a `Plan` before its documented arguments and
gives it every primitive call: `plan(np.add, y, b, y)`. A `Direct` plan makes each call at once, which is eager
execution. A `Recording` keeps them: repeating a step then runs down one flat list of calls, without shapes to
look at, views to cut, names to look up or memory to find.

Therefore a kernel looks at shapes, strides, dtypes and attributes only, never at what arrays hold; what depends
on a value (a counter, a learning rate) is a primitive of its own that reads the value when it runs.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar

import numpy as np

from nnx.interface import Call, Scratch, Tape, placed, reserved
from nnx_numpy.workspace import Numbers, Workspace

Primitive = Callable[..., Any]
Self = TypeVar("Self")
Arguments = ParamSpec("Arguments")

quiet = np.errstate(all="ignore")
"""Decorates what computes: infinities and NaN are legal values, whatever the caller's `numpy.seterr` says."""


class Plan(Workspace):
    """Takes the primitive calls of kernels, and lends them scratch memory.

    Destinations come last and by position: by name they would double what a call on a small array costs.
    """

    def __call__(self, primitive: Primitive, *arguments: Any) -> None:
        """Make a call, or keep it for later."""
        raise NotImplementedError(f"{type(self).__name__} must supply __call__")

    def maximum(self, x: Numbers, bound: float, out: Numbers) -> None:
        """Take out = max(x, bound) of flat arrays; by name, as NumPy wants it, and from an array of bounds."""
        self(functools.partial(np.maximum, out=out), x, self.filled(bound, x.size, x.dtype))

    def minimum(self, x: Numbers, bound: float, out: Numbers) -> None:
        """Take out = min(x, bound) of flat arrays."""
        self(functools.partial(np.minimum, out=out), x, self.filled(bound, x.size, x.dtype))

    def copy(self, source: Numbers | float, out: Numbers) -> None:
        """Take out = source, converted and spread as an assignment does."""
        self(out.__setitem__, ..., source)

    def flat(self, slot: str, array: Numbers) -> Numbers:
        """Return the elements as a vector: a view where they are contiguous, else scratch that gets a copy."""
        if not array.flags.c_contiguous:
            contiguous = self.like(slot, array)
            self.copy(array, contiguous)
            array = contiguous
        return array.reshape(-1)

    def once(
        self, key: tuple[Any, ...], source: Numbers, shape: tuple[int, ...], dtype: np.dtype[Any]
    ) -> tuple[Numbers, bool]:
        """Lend memory for what depends on `source` and the key alone; tell whether it has its contents already."""
        del source
        return self.take(str(key[0]), shape, dtype), False


class Direct(Plan):
    """Makes every call at once."""

    def __call__(self, primitive: Primitive, *arguments: Any) -> None:
        """Make a call."""
        primitive(*arguments)


class Recording(Plan):
    """Keeps every call; makes what `once` asks for again only after its source may have changed."""

    def __init__(self) -> None:
        """Begin with no calls, and with scratch that is shared with nobody."""
        super().__init__()
        self.calls: list[tuple[Primitive, tuple[Any, ...]]] = []
        self._made: dict[tuple[Any, ...], tuple[Numbers, Numbers]] = {}  # sources and results
        self._sources: set[int] = set()  # the ids of those that the current kernel has named

    def record(self, call: Call) -> None:
        """Let a kernel plan its calls; what is no kernel of this backend is called as it was recorded."""
        self._sources.clear()
        planned = getattr(call.kernel, "planned", None)
        if planned is None:
            self.calls.append((call.kernel, call.arguments))
        else:
            planned(call.kernel.__self__, self, *call.arguments)  # type: ignore[attr-defined]  # a bound method
        self._forget([value for value in call.arguments if isinstance(value, np.ndarray)])

    def _forget(self, given: list[Numbers]) -> None:
        """Drop the results whose source the kernel was given for another purpose: it may have changed it."""
        others = [array for array in given if id(array) not in self._sources]
        self._made = {
            key: (source, result)
            for key, (source, result) in self._made.items()
            if not any(np.may_share_memory(source, array) for array in others)
        }

    def once(
        self, key: tuple[Any, ...], source: Numbers, shape: tuple[int, ...], dtype: np.dtype[Any]
    ) -> tuple[Numbers, bool]:
        """See `Plan.once`; the memory is lent for good."""
        self._sources.add(id(source))
        known = (id(source), *key)
        made = known in self._made
        if not made:
            self._made[known] = source, self.allocate(shape, dtype)
        return self._made[known][1], made

    def __call__(self, primitive: Primitive, *arguments: Any) -> None:
        """Keep a call; numbers as 0-d arrays, which halves what a ufunc on a small array costs."""
        if isinstance(primitive, np.ufunc):
            arguments = self._operands(arguments)
        self.calls.append((primitive, arguments))

    def _operands(self, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        first: Numbers = next(value for value in arguments if isinstance(value, np.ndarray))
        return tuple(
            self.scalar(value, first.dtype) if isinstance(value, int | float) else value for value in arguments
        )


class Sizing(Recording):
    """Finds out how much scratch a step takes, and takes none.

    Attributes:
        taken: bytes, those of buffers that were too small included: the calls before keep them.
        constants: the last one of each kind.
    """

    def __init__(self) -> None:
        """Begin with nothing."""
        super().__init__()
        self.taken = 0
        self.constants: dict[tuple[Any, ...], Numbers] = {}

    def allocate(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Numbers:
        """See `Workspace.allocate`."""
        made = reserved(shape, dtype)
        self.taken += made.nbytes
        return made

    def filled(self, value: float, size: int, dtype: np.dtype[Any]) -> Numbers:
        """See `Workspace.filled`."""
        return self._vector((value, dtype), size, dtype)

    def counting(self, size: int, stride: int = 1) -> Numbers:
        """See `Workspace.counting`."""
        return self._vector((stride,), size, np.dtype(np.int64))

    def _vector(self, key: tuple[Any, ...], size: int, dtype: np.dtype[Any]) -> Numbers:
        if key not in self.constants or self.constants[key].size < size:
            self.constants[key] = self.allocate((size,), dtype)
        return self.constants[key][:size]


def scratch_of(tape: Tape) -> Scratch:
    """Return the scratch of a tape, whose arrays may be outlines."""
    sizing = Sizing()
    for call in placed(tape).calls:
        sizing.record(call)
    kept = *sizing.buffers.values(), *sizing.constants.values()
    return Scratch(sizing.taken, sum(array.nbytes for array in kept))


class _Own(threading.local):
    def __init__(self) -> None:
        self.plan = Direct()


_own = _Own()
"""The plan of whichever thread runs a kernel eagerly: no two threads share scratch."""


def kernel(
    planned: Callable[Concatenate[Self, Plan, Arguments], None],
) -> Callable[Concatenate[Self, Arguments], None]:
    """Make the eager kernel of one that is written for plans; `Replay` finds the latter as its `planned`."""

    @functools.wraps(planned)
    @quiet
    def eager(self: Self, /, *args: Arguments.args, **kwargs: Arguments.kwargs) -> None:
        planned(self, _own.plan, *args, **kwargs)

    eager.planned = planned  # type: ignore[attr-defined]  # functions take attributes, Callable does not say so
    return eager


class Replay:
    """A recorded step as one flat list of primitive calls on memory of its own."""

    def __init__(self, tape: Tape) -> None:
        """Plan all calls of the tape."""
        recording = Recording()
        for call in tape.calls:
            recording.record(call)
        self._calls = recording.calls

    @quiet
    def run(self, steps: int) -> None:
        """Run the recorded step `steps` times."""
        calls = self._calls
        for _ in range(steps):
            for primitive, arguments in calls:
                primitive(*arguments)
