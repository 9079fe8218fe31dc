"""The computer's memory, and how much of it this process may still have."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import NamedTuple

_UNLIMITED = 1 << 60
"""Bytes from which on a limit of a control group is none; the first version writes one that is near 2^63."""

_LINES = "MemTotal", "MemAvailable"
"""Lines of /proc/meminfo; the second counts in what files are cached in, as `sysconf` does not."""

_GROUPS = Path("/sys/fs/cgroup")


class Memory(NamedTuple):
    """Memory of a device, in bytes.

    Attributes:
        free: what arrays can still have; None if nothing tells.
        total: what there is; 0 if nothing tells.
    """

    free: int | None
    total: int


def host_memory() -> Memory:
    """Return how many bytes this process can still have without others being swapped out, and the computer's.

    That is the least of what the computer, the control groups of a container, and the limits of the process leave.
    Swap space is not counted: training in it would come to no end.
    """
    computer = _of_computer()
    free = [left for left in (computer.free, *map(_of_group, _groups()), *_of_process()) if left is not None]
    return Memory(max(min(free), 0) if free else None, computer.total)


def _of_computer() -> Memory:
    try:
        text = Path("/proc/meminfo").read_text(encoding="ascii")
        total, free = (1024 * int(text.split(f"{name}:", 1)[1].split(None, 1)[0]) for name in _LINES)
        return Memory(free, total)
    except (OSError, IndexError):  # not Linux, or one from before 2014
        return _by_sysconf()


def _by_sysconf() -> Memory:
    try:
        page = os.sysconf("SC_PAGE_SIZE")
        return Memory(os.sysconf("SC_AVPHYS_PAGES") * page, os.sysconf("SC_PHYS_PAGES") * page)
    except (AttributeError, ValueError, OSError):
        return Memory(None, 0)


@cache
def _groups() -> tuple[tuple[Path, str, str], ...]:
    """Return folders of this process's control groups, the names of limit and use in them, innermost first."""
    try:
        lines = Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ()
    found: list[tuple[Path, str, str]] = []
    for line in lines:
        _, kinds, path = line.split(":", 2)
        if kinds == "":
            found += _folders(_GROUPS, path, "memory.max", "memory.current")
        elif "memory" in kinds.split(","):
            found += _folders(_GROUPS / "memory", path, "memory.limit_in_bytes", "memory.usage_in_bytes")
    return tuple(found)


def _folders(root: Path, path: str, limit: str, used: str) -> list[tuple[Path, str, str]]:
    """Return those of a group and of all above it that have a limit; inside a container the path may not exist."""
    inner = root / path.lstrip("/")
    folders = [inner, *inner.parents]
    folders = folders[: folders.index(root) + 1]
    return [(folder, limit, used) for folder in folders if (folder / limit).is_file()]


def _of_group(group: tuple[Path, str, str]) -> int | None:
    folder, limit_name, used_name = group
    try:
        text = (folder / limit_name).read_text(encoding="ascii").strip()
        if text == "max" or int(text) >= _UNLIMITED:
            return None
        used, cached = int((folder / used_name).read_text(encoding="ascii")), 0
        for line in (folder / "memory.stat").read_text(encoding="ascii").splitlines():
            name, _, value = line.partition(" ")
            if name in ("inactive_file", "total_inactive_file"):
                cached = int(value)  # of files, and given up when somebody needs the memory
        return int(text) - used + cached
    except (OSError, ValueError):
        return None


def _of_process() -> list[int]:
    try:
        import resource
    except ImportError:  # Windows
        return []
    limits = [resource.getrlimit(kind)[0] for kind in (resource.RLIMIT_AS, resource.RLIMIT_DATA)]
    if limits == [resource.RLIM_INFINITY] * 2:
        return []
    try:
        words = Path("/proc/self/statm").read_text(encoding="ascii").split()
    except OSError:
        return []
    page = os.sysconf("SC_PAGE_SIZE")
    used = int(words[0]) * page, int(words[5]) * page  # the whole address space, and the data in it
    pairs = zip(limits, used, strict=True)
    return [limit - taken for limit, taken in pairs if limit != resource.RLIM_INFINITY]
