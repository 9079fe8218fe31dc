"""Launches: kernel calls made ready for native code, run at once or collected into a program."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnx.interface import reserved


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


@dataclass
class Recording:
    """Launches collected instead of run, and the scratch that the calls they come from share.

    Attributes:
        scratch: the memory; where a call asks for more than there is, a larger one takes its place.
    """

    launches: list[Launch] = field(default_factory=list)
    scratch: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))

    def make(self, size: int) -> NDArray[np.float64]:
        """Make scratch for `size` numbers."""
        return np.empty(size)

    def address(self, compiled: Callable[[tuple[Any, ...]], Any], arguments: tuple[Any, ...]) -> int:
        """Return where native code finds a kernel that `compiled` gives for these arguments."""
        return int(compiled(arguments).address)


class Measuring(Recording):
    """Finds out how much scratch calls take, compiles nothing and takes no memory."""

    def make(self, size: int) -> NDArray[np.float64]:
        """See `Recording.make`."""
        return reserved((size,), np.float64)

    def address(self, compiled: Callable[[tuple[Any, ...]], Any], arguments: tuple[Any, ...]) -> int:
        """See `Recording.address`; nothing is ever run."""
        del compiled, arguments
        return 0


class _Local(threading.local):
    recording: Recording | None = None
    working: NDArray[np.int64] | None = None

    def __init__(self) -> None:
        self.eager = Recording()  # which takes no launches: they run at once


_local = _Local()


@contextmanager
def collecting(recording: Recording | None = None) -> Iterator[Recording]:
    """Collect this thread's launches inside the `with` block."""
    before, _local.recording = _local.recording, recording or Recording()
    try:
        yield _local.recording
    finally:
        _local.recording = before


def current() -> Recording | None:
    """Return what takes this thread's launches, or None where they run at once."""
    return _local.recording


def scratch_of(calls: Sequence[Callable[[], None]]) -> int:
    """Return the bytes of scratch that a program of these calls takes, and make none of it."""
    with collecting(Measuring()) as recording:
        for call in calls:
            call()
    return recording.scratch.nbytes


def record(calls: Sequence[Callable[[], None]]) -> list[list[Launch]]:
    """Return the launches of every call; all share one scratch, as large as the largest of them asks for.

    That size is known once all have asked: if there was none to begin with, all are collected again.
    """
    size, fits = 0, False
    while not fits:
        found: list[list[Launch]] = []
        with collecting(Recording(scratch=np.empty(size))) as recording:
            for call in calls:
                recording.launches = []
                call()
                found.append(recording.launches)
        fits, size = recording.scratch.size == size, recording.scratch.size
    return found


def scratch(size: int) -> NDArray[np.float64]:
    """Return working memory for `size` numbers, which the next one to ask gets again.

    It hands data from launch to launch of one call, never from call to call: calls run one after the other. It is
    this thread's, or, while collecting, the recording's: a program may run on any thread, and beside others. A
    program keeps what its largest call takes, a thread what the largest took that ran on it.
    """
    owner = _local.recording or _local.eager
    if owner.scratch.size < size:
        owner.scratch = owner.make(size)
    return owner.scratch[:size]


def rooms(kind: Any, *shapes: tuple[int, ...]) -> list[NDArray[Any]]:
    """Return scratch in several shapes, each from a 64-byte boundary on."""
    counts = [math.prod(shape) for shape in shapes]
    lines = [-(-count * kind.itemsize // 64) for count in counts]
    memory = scratch(8 * (sum(lines) + 1)).view(np.uint8)
    place, found = -memory.ctypes.data % 64, []
    for shape, count, taken in zip(shapes, counts, lines, strict=True):
        found.append(memory[place : place + count * kind.itemsize].view(kind).reshape(shape))
        place += 64 * taken
    return found


WORKING = 5 << 20
"""Bytes of memory that every thread brings along for what kernels pack."""


def working_memory() -> NDArray[np.int64]:
    """Return this thread's working memory, from a 64-byte boundary on; a page of it is real once it is used."""
    if _local.working is None:
        words = np.empty((WORKING + 64) // 8, np.int64)
        first = -words.ctypes.data % 64 // 8
        _local.working = words[first : first + WORKING // 8]
    return _local.working
