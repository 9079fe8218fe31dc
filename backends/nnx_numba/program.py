"""A recorded step as native code: whole epochs in one call."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import numpy as np

from nnx.interface import Program, Scratch, Tape, placed
from nnx_numba import team
from nnx_numba.launches import Launch, record, scratch_of

_log = logging.getLogger("nnx.backends.numba")


class NativeProgram:
    """The launches of a step, walked natively as often as asked for."""

    def __init__(self, launches: list[Launch]) -> None:
        """Keep the launches alive: the table holds addresses only."""
        self._launches, self._table = launches, team.table_of(launches)

    def run(self, steps: int) -> None:
        """Run the recorded step `steps` times."""
        team.run(self._table, steps)


class MixedProgram:
    """Native stretches, and calls of kernels that have no native form, in turn."""

    def __init__(self, parts: list[Callable[[], None]]) -> None:
        """Take what makes up one step."""
        self._parts = parts

    def run(self, steps: int) -> None:
        """Run the recorded step `steps` times."""
        for _ in range(steps):
            for part in self._parts:
                part()


def compile_tape(tape: Tape, is_native: Callable[[Any], bool]) -> Program:
    """Make a program of a tape, where `is_native` tells which kernels do nothing but launch."""
    native = [is_native(call.kernel) and all(map(_stays, call.arguments)) for call in tape.calls]
    calls = [_bound(call.kernel, call.arguments) for call in tape.calls]
    found = iter(record([call for call, launches in zip(calls, native, strict=True) if launches]))
    parts: list[Callable[[], None] | list[Launch]] = []
    for call, launches in zip(calls, native, strict=True):
        if not launches:
            parts.append(call)
        elif parts and isinstance(parts[-1], list):
            parts[-1] += next(found)
        else:
            parts.append(next(found))
    if len(parts) == 1 and isinstance(parts[0], list):
        return NativeProgram(parts[0])
    _log.info(
        "%d of %d calls of a step have no native form and pass through Python", native.count(False), len(calls)
    )
    return MixedProgram([_once(part) if isinstance(part, list) else part for part in parts])


def scratch_of_tape(tape: Tape, is_native: Callable[[Any], bool]) -> Scratch:
    """Return the scratch of a tape, whose arrays may be outlines; a thread's is as large as a program's."""
    calls = placed(tape).calls
    size = scratch_of([_bound(call.kernel, call.arguments) for call in calls if is_native(call.kernel)])
    return Scratch(size, size)


def _stays(argument: Any) -> bool:
    """Whether a kernel uses an argument where it lies; a strided array would be copied each time."""
    return not isinstance(argument, np.ndarray) or bool(argument.flags.carray and argument.dtype.isnative)


def _bound(kernel: Callable[..., None], arguments: tuple[Any, ...]) -> Callable[[], None]:
    return lambda: kernel(*arguments)


def _once(launches: list[Launch]) -> Callable[[], None]:
    program = NativeProgram(launches)
    return lambda: program.run(1)
