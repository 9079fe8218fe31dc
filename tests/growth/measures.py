"""What a process holds."""

from __future__ import annotations

import gc
import resource
import tracemalloc
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Held:
    """What a process holds between two runs.

    Attributes:
        resident: memory that the system counts, in bytes.
        traced: memory that Python and NumPy have asked for and not given back, in bytes.
        objects: those that the garbage collector follows.
        files: open files, and threads: those that the system knows.
    """

    resident: int
    traced: int
    objects: int
    files: int
    threads: int


def held() -> Held:
    """Measure, after everything that nobody refers to is gone."""
    while gc.collect():
        pass
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return Held(
        resident=pages * resource.getpagesize(),
        traced=tracemalloc.get_traced_memory()[0],
        objects=len(gc.get_objects()),
        files=len(list(Path("/proc/self/fd").iterdir())),
        threads=len(list(Path("/proc/self/task").iterdir())),
    )
