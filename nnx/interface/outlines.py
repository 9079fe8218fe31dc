"""Arrays that have shape and dtype but no memory: what a step needs is seen by going through it with these.

An outline is one number that strides of zero show everywhere, so that views of it (slices, other shapes, other
orders of the axes) are outlines too, of whatever size. Computing with one is refused: it would make a real array.
"""

from __future__ import annotations

import math
import mmap
from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from nnx.errors import MemoryLimitError
from nnx.interface.arrays import Array
from nnx.interface.backend import Backend
from nnx.tape import Call, Tape

_LARGEST = 2**63 - 1


class Outline(np.ndarray[Any, np.dtype[Any]]):
    """An array without memory."""

    __array_ufunc__ = None  # type: ignore[assignment]  # NumPy's way to say that arithmetic is refused

    def __setitem__(self, key: Any, value: Any) -> None:
        """Do nothing: there is nothing to write to."""


def outline(shape: Sequence[int], dtype: str) -> Outline:
    """Return an array of this shape and dtype that takes no memory.

    Raises:
        MemoryLimitError: no computer could address it.
    """
    kind = np.dtype(dtype)
    size = math.prod(shape) * kind.itemsize
    if size > _LARGEST:
        raise MemoryLimitError(f"An array of shape {tuple(shape)}", size, None, "take fewer or smaller ones.")
    number = np.zeros(1, kind)
    return Outline(tuple(shape), kind, number.data, strides=(0,) * len(shape))


class OutlineBackend(Backend):
    """Stands in for an engine: hands out outlines, and counts the bytes that the engine would take for them.

    Attributes:
        taken: bytes of all arrays so far.
    """

    def __init__(self, engine: Backend) -> None:
        """Stand in for this engine."""
        from array_api_compat import numpy as namespace  # slow to import, and needed by few

        self.xp = namespace
        self.engine, self.name, self.on_host, self.taken = engine, engine.name, engine.on_host, 0

    def empty(self, shape: tuple[int, ...], dtype: str) -> Array:
        """See `Arrays.empty`."""
        made = outline(shape, dtype)
        self.taken += made.nbytes
        return made

    def asarray(self, values: NDArray[Any], dtype: str) -> Array:
        """See `Arrays.asarray`."""
        return self.empty(np.shape(values), dtype)

    def to_numpy(self, array: Array) -> NoReturn:
        """Refuse: there are no values."""
        raise TypeError(f"values of {tuple(array.shape)} are read")

    def owns(self, value: object) -> bool:
        """See `Arrays.owns`."""
        return isinstance(value, Outline)

    def __getattr__(self, name: str) -> Any:
        """Return what the engine has beside the interface, such as a kernel of one's own; it is never run."""
        return getattr(self.engine, name)


def reserved(shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
    """Return a contiguous host array of addresses alone: memory comes only where it is written to.

    Raises:
        OSError, ValueError, OverflowError: the system has not so many addresses left.
    """
    size = math.prod(shape) * np.dtype(dtype).itemsize
    if not hasattr(mmap, "MAP_ANONYMOUS"):
        raise OSError("Windows lends no addresses without memory behind them")
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | getattr(mmap, "MAP_NORESERVE", 0)
    made: NDArray[Any] = np.ndarray(shape, dtype, mmap.mmap(-1, max(size, 1), flags=flags))
    return made


def placed(tape: Tape) -> Tape:
    """Return a tape of outlines as one of `reserved` arrays; outlines that share memory share addresses.

    For engines that plan a step by looking at how arrays lie, and never at what they hold.

    Raises:
        OSError, ValueError, OverflowError: as `reserved`.
    """
    bases: dict[int, NDArray[Any]] = {}

    def place(value: Any) -> Any:
        if not isinstance(value, Outline):
            return value
        base = bases.get(value.ctypes.data)
        if base is None or base.size < value.size or base.dtype != value.dtype:
            base = bases[value.ctypes.data] = reserved((value.size,), value.dtype)
        return base[: value.size].reshape(value.shape)

    return Tape([Call(call.kernel, tuple(map(place, call.arguments))) for call in tape.calls])
