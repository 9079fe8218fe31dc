"""Launches: kernel calls made ready for native code, run at once or collected into a program."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Launch:
    """One kernel call.

    Attributes:
        address: its C entry `void(int64 *row, int64 first, int64 last, void *memory)`.
        row: its arguments in 64-bit words.
        count, grain: units of work, and how many of them are worth a thread.
        kept: what must stay alive as long as the entry may be called.
    """

    address: int
    row: NDArray[np.int64]
    count: int
    grain: int
    kept: tuple[Any, ...]

    @property
    def splits(self) -> bool:
        """Whether there is work for more than one thread."""
        return self.count >= 2 * self.grain


class _Local(threading.local):
    collected: list[Launch] | None = None
    scratch: NDArray[np.float64] | None = None
    working: NDArray[np.int64] | None = None


_local = _Local()


@contextmanager
def collecting() -> Iterator[list[Launch]]:
    """Collect the launches of this thread inside the `with` block, instead of running them."""
    before, _local.collected = _local.collected, []
    try:
        yield _local.collected
    finally:
        _local.collected = before


def collected() -> list[Launch] | None:
    """Return the list that takes this thread's launches, or None where they run at once."""
    return _local.collected


def scratch(size: int) -> NDArray[np.float64]:
    """Return working memory for `size` numbers: this thread's, or, while collecting, memory of its own.

    A program may run on any thread, and beside other programs.
    """
    if _local.collected is not None:
        return np.empty(size)
    if _local.scratch is None or _local.scratch.size < size:
        _local.scratch = np.empty(max(size, 1024))
    return _local.scratch[:size]


WORKING = 1 << 20
"""Bytes of memory that every thread brings along for what kernels pack."""


def working_memory() -> NDArray[np.int64]:
    """Return this thread's working memory, from a 64-byte boundary on; a page of it is real once it is used."""
    if _local.working is None:
        words = np.empty((WORKING + 64) // 8, np.int64)
        first = -words.ctypes.data % 64 // 8
        _local.working = words[first : first + WORKING // 8]
    return _local.working
