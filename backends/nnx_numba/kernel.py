"""Kernels: functions over arrays, compiled for ranges of their work.

A kernel is written once, as a function `(first, last, *arguments)` that does units first..last-1 of its work:
elements, rows, columns or blocks. Units never depend on how they are dealt out, so any number of threads
gives the same bits. It is compiled to a C entry `void(int64 *row, int64 first, int64 last, void *memory)`, for each
set of argument types when first used with them. The row holds addresses, extents and attributes; the memory is the
thread's own, and reaches functions that ask for it with a third parameter, `memory`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np

from nnx_numba.entries import Entry
from nnx_numba.launches import Launch, current
from nnx_numba.team import run_one


class Kernel:
    """One kernel, specialised to the types of its arguments, None included."""

    def __init__(self, function: Callable[..., None], variant: str = "") -> None:
        """Take the function; `variant` tells apart kernels made by one factory."""
        self.name = "-".join(filter(None, (function.__qualname__.rsplit(".", 1)[-1], variant)))
        self._function = function
        self._entries: dict[tuple[Any, ...], Entry] = {}

    def __call__(self, count: int, grain: int, *arguments: Any) -> None:
        """Do all `count` units, or collect the launch; twice `grain` units are worth a second thread."""
        if count > 0:
            arguments = tuple(map(_plain_number, arguments))
            launch = Launch(self.address(arguments), pack_row(arguments), count, max(grain, 1), arguments)
            recording = current()
            if recording is None:
                run_one(launch)
            else:
                recording.launches.append(launch)

    def address(self, arguments: tuple[Any, ...]) -> int:
        """Return the address that native code calls for arguments of these types."""
        recording = current()
        return self.entry(arguments).address if recording is None else recording.address(self.entry, arguments)

    def entry(self, arguments: tuple[Any, ...]) -> Entry:
        """Return the C entry for arguments of these types, compiled if it is the first."""
        kinds = tuple(map(_kind, arguments))
        if kinds not in self._entries:
            self._entries[kinds] = Entry(self.name, self._function, tuple(map(numba.typeof, arguments)))
        return self._entries[kinds]


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
