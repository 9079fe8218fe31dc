"""Kernels: functions over arrays, compiled for ranges of their work.

A kernel is written once, as a function `(first, last, *arguments)` that does units first..last-1 of its work:
elements, rows, columns or blocks. Units never depend on how they are dealt out, so any number of threads
gives the same bits. It is compiled to a C entry `void(int64 *row, int64 first, int64 last, void *memory)`, for each
set of argument types when first used with them. The row holds addresses, extents and attributes; the memory is the
thread's own, and reaches functions that ask for it with a third parameter, `memory`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numba
import numpy as np
from llvmlite import ir

from nnx_numba.cache import DiskCache
from nnx_numba.instructions import wrapped
from nnx_numba.internals import CFunc, types
from nnx_numba.jit import FLAGS, inner, intrinsic
from nnx_numba.launches import Launch, collected, measuring
from nnx_numba.team import run_one

_NO_ENTRY = SimpleNamespace(address=0)
_ENTRY = types.void(types.CPointer(types.int64), types.int64, types.int64, types.intp)


class Kernel:
    """One kernel, specialised to the types of its arguments, None included."""

    def __init__(self, function: Callable[..., None], variant: str = "") -> None:
        """Take the function; `variant` tells apart kernels made by one factory."""
        self.name = "-".join(filter(None, (function.__qualname__.rsplit(".", 1)[-1], variant)))
        self._function, self._packs = function, "memory" in inspect.signature(function).parameters
        self._entries: dict[tuple[Any, ...], Any] = {}

    def __call__(self, count: int, grain: int, *arguments: Any) -> None:
        """Do all `count` units, or collect the launch; twice `grain` units are worth a second thread."""
        if count > 0:
            arguments = tuple(map(_plain_number, arguments))
            launch = Launch(self.entry(arguments).address, pack_row(arguments), count, max(grain, 1), arguments)
            calls = collected()
            if calls is None:
                run_one(launch)
            else:
                calls.append(launch)

    def entry(self, arguments: tuple[Any, ...]) -> Any:
        """Return the C entry for arguments of these types; `.address` is what native code calls."""
        if measuring():
            return _NO_ENTRY
        kinds = tuple(map(_kind, arguments))
        if kinds not in self._entries:
            self._entries[kinds] = self._compile(tuple(map(numba.typeof, arguments)))
        return self._entries[kinds]

    def _compile(self, kinds: tuple[Any, ...]) -> Any:
        run = inner(self._function)
        arguments = unpacker(kinds)

        def entry(row: Any, first: int, last: int, memory: int) -> None:  # noqa: ARG001
            run(first, last, *arguments(row))

        def packing_entry(row: Any, first: int, last: int, memory: int) -> None:
            run(first, last, memory, *arguments(row))

        chosen = packing_entry if self._packs else entry
        callback = CFunc(chosen, (_ENTRY.args, _ENTRY.return_type), locals={}, options=dict(FLAGS))
        callback._cache = DiskCache(f"{self.name}-entry-{'-'.join(map(str, kinds))}")
        callback.compile()
        return callback


def kernel(function: Callable[..., None]) -> Kernel:
    """Make a kernel of a function."""
    return Kernel(function)


def _plain_number(argument: Any) -> Any:
    """Return Python's number for one of NumPy's, so that nothing is compiled twice."""
    return argument.item() if isinstance(argument, np.floating | np.integer) else argument


def _kind(argument: Any) -> tuple[Any, ...]:
    if isinstance(argument, np.ndarray):
        return argument.dtype.char, argument.ndim
    return (type(argument),)


def pack_row(arguments: tuple[Any, ...]) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Write arguments as a row of 64-bit words: array -> address, extents; number -> itself; None -> nothing."""
    words: list[int] = []
    for argument in arguments:
        if isinstance(argument, np.ndarray):
            words += [argument.ctypes.data, *argument.shape]
        elif isinstance(argument, float):
            words.append(int(np.float64(argument).view(np.int64)))
        elif argument is not None:
            words.append(int(np.array(argument).astype(np.int64)))
    return np.array(words, np.int64)


def unpacker(kinds: tuple[Any, ...]) -> Callable[[Any], Any]:
    """Make the inverse of `pack_row` for compiled code, without copies or reference counts."""

    @intrinsic
    def unpack(_context: Any, row: Any) -> Any:
        result = types.Tuple(kinds)

        def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            place = iter(range(sum(map(_words, kinds))))

            def word() -> Any:
                return builder.load(builder.gep(arguments[0], [ir.IntType(64)(next(place))]))

            values = [_value(context, builder, kind, word) for kind in kinds]
            return context.make_tuple(builder, result, values)

        return result(row), generate

    return unpack


def _words(kind: Any) -> int:
    if isinstance(kind, types.Array):
        return 1 + int(kind.ndim)
    return 0 if kind == types.none else 1


def _value(context: Any, builder: Any, kind: Any, word: Callable[[], Any]) -> Any:
    if isinstance(kind, types.Array):
        data = builder.inttoptr(word(), context.get_data_type(kind.dtype).as_pointer())
        return wrapped(context, builder, kind, data, [word() for _ in range(kind.ndim)])
    if kind == types.none:
        return context.get_dummy_value()
    if isinstance(kind, types.Float):
        return builder.bitcast(word(), ir.DoubleType())
    return builder.trunc(word(), ir.IntType(1)) if kind == types.boolean else word()
