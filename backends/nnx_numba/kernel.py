"""Kernels: functions over arrays, compiled for whole ranges and for parts of them on all cores.

A kernel is written once, as a function `(first, last, *arguments)` that does units first..last-1 of its work:
elements, rows, columns or blocks. Units never depend on how they are dealt out, so any number of threads
gives the same bits. Called for little work, the compiled function runs as it is. Called for much, it runs
behind a C entry `void(int64 *row, int64 first, int64 last)`, where the row holds addresses, extents and
attributes: one parallel loop, compiled once for all kernels, deals out the ranges.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Any

import numba
import numpy as np
from llvmlite import ir

from nnx_numba.cache import DiskCache
from nnx_numba.instructions import wrapped
from nnx_numba.internals import CFunc, launch_threads, threading_layer, types
from nnx_numba.jit import FLAGS, compiled, intrinsic

WORTH = 1024
"""Grains from which on other cores are woken, about 33 million elements. BLAS keeps threads of its own, which spin
for a while after a product; a launch of ours beside them waited 8 ms (measured, two cores: a product of
209x12288x20 in 0.45 ms, an update of 245,000 parameters in 0.02 ms, both in turn 0.49 ms serial and 8 ms dealt
out). Work must take longer than that by far before a second core can win."""

_ENTRY = types.void(types.CPointer(types.int64), types.int64, types.int64)


class Kernel:
    """One kernel, specialised by Numba to the types of its arguments, None included."""

    def __init__(self, function: Callable[..., None], variant: str = "") -> None:
        """Take the function; `variant` tells apart kernels made by one factory."""
        self.name = "-".join(filter(None, (function.__qualname__.rsplit(".", 1)[-1], variant)))
        self.run = compiled(function, self.name)
        self._entries: dict[tuple[Any, ...], Any] = {}

    def __call__(self, count: int, grain: int, *arguments: Any) -> bool:
        """Do all `count` units; tell whether one call did them all.

        Less than `WORTH` grains are not worth waking other cores for; a core takes one grain at a time.
        """
        if count < WORTH * grain or numba.get_num_threads() == 1:
            self.run(0, count, *arguments)
            return True
        row = pack(arguments)
        with _launch_lock():
            _spread()(self.entry(arguments).address, row, count, grain)
        return False

    def entry(self, arguments: tuple[Any, ...]) -> Any:
        """Return the C entry for arguments of these types; `.address` is what native code calls."""
        kinds = tuple(map(_kind, arguments))
        if kinds not in self._entries:
            self._entries[kinds] = self._compile(tuple(map(numba.typeof, arguments)))
        return self._entries[kinds]

    def _compile(self, kinds: tuple[Any, ...]) -> Any:
        run, arguments = self.run, unpacker(kinds)

        def entry(row: Any, first: int, last: int) -> None:
            run(first, last, *arguments(row))

        callback = CFunc(entry, (_ENTRY.args, _ENTRY.return_type), locals={}, options=dict(FLAGS))
        callback._cache = DiskCache(f"{self.name}-entry-{'-'.join(map(str, kinds))}")
        callback.compile()
        return callback


def kernel(function: Callable[..., None]) -> Kernel:
    """Make a kernel of a function."""
    return Kernel(function)


def _kind(argument: Any) -> tuple[Any, ...]:
    if isinstance(argument, np.ndarray):
        return argument.dtype.char, argument.ndim
    return (type(argument),)


def pack(arguments: tuple[Any, ...]) -> np.ndarray[Any, np.dtype[np.int64]]:
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
    """Make the inverse of `pack` for compiled code, without copies or reference counts."""

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
    return word()


@cache
def _spread() -> Any:
    """Return the parallel loop, with the threads running: from disk, it would not load before they are."""
    launch_threads()

    @intrinsic
    def call(_context: Any, _address: Any, row: Any, _first: Any, _last: Any) -> Any:
        def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            word = ir.IntType(64)
            function = ir.FunctionType(ir.VoidType(), [word.as_pointer(), word, word]).as_pointer()
            data = context.make_array(row)(context, builder, arguments[1]).data
            builder.call(builder.inttoptr(arguments[0], function), [data, *arguments[2:]])
            return context.get_dummy_value()

        return types.void(types.int64, row, types.int64, types.int64), generate

    def spread(address: int, row: Any, count: int, grain: int) -> None:
        for part in numba.prange((count + grain - 1) // grain):
            call(address, row, part * grain, min((part + 1) * grain, count))

    dispatcher = numba.njit(parallel=True, **FLAGS)(spread)
    dispatcher._cache = DiskCache("spread")
    return dispatcher


_lock = threading.Lock()


def _launch_lock() -> AbstractContextManager[Any]:
    """The workqueue layer aborts the process when two threads launch at once; the others need no lock."""
    _spread()
    return _lock if threading_layer() == "workqueue" else nullcontext()
