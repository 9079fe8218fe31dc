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


_LIMITS = {"resident": 0.05, "traced": 0.02, "objects": 0.01, "files": 0.0, "threads": 0.0}
"""The share by which each may grow once most shapes have come by: caches of limited size are not full by then."""


def grown_between(one: Held, other: Held) -> list[str]:
    """Return what has grown by more than it may, a sentence for each."""
    found = []
    for name, share in _LIMITS.items():
        before, after = getattr(one, name), getattr(other, name)
        if after > before * (1 + share):
            found.append(f"{name} grew from {before} to {after}, by more than {share:.0%}.")
    return found
