"""Arrays on their way into a kernel: one layout and one mutability, so that nothing is compiled twice."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
from numpy.typing import NDArray

GRAIN = 32768
"""Elements that one core works on for some ten microseconds: less is not worth waking another one."""

PRODUCTS = 60_000
"""The same in products of lines."""

NO_WORDS = np.empty(0, np.int64)
"""What stands for integers that are not given."""

_NOTHING = {(kind, ndim): np.empty((0,) * ndim, kind) for kind in ("f", "d") for ndim in (1, 2, 3)}


def plain(array: NDArray[Any]) -> NDArray[Any]:
    """Return the array itself if it is contiguous, aligned, writable and native; else a writable view or a copy."""
    return array if array.flags.carray and array.dtype.isnative else _made_plain(array)


def _made_plain(array: NDArray[Any]) -> NDArray[Any]:
    """Numba takes read-only arrays for another type: no kernel writes to an input, so a view may pretend."""
    whole = array.flags.c_contiguous and array.flags.aligned and array.dtype.isnative
    if not whole or array.nbytes == 0:
        return np.array(array, array.dtype.newbyteorder("="), order="C")
    memory = (ctypes.c_byte * array.nbytes).from_address(array.ctypes.data)
    view: NDArray[Any] = np.ndarray(array.shape, array.dtype, buffer=memoryview(memory))
    return view


def flat(array: NDArray[Any]) -> NDArray[Any]:
    """Return all elements as one plain row."""
    array = plain(array)
    return array if array.ndim == 1 else array.reshape(-1)


def optional(array: NDArray[Any] | None) -> NDArray[Any] | None:
    """Return a plain array, or None for None."""
    return None if array is None else plain(array)


def or_nothing(like: NDArray[Any], ndim: int, *arrays: NDArray[Any] | None) -> list[NDArray[Any]]:
    """Return plain arrays, and for None one without rows: None is a type of its own, for which to compile."""
    nothing = _NOTHING[like.dtype.char, ndim]
    return [nothing if array is None else plain(array) for array in arrays]


def row_grain(columns: int) -> int:
    """How many rows of this length make one grain."""
    return max(1, GRAIN // max(columns, 1))
