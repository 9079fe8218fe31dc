"""Locks on files, which end with the process that holds them, however it ends."""

from __future__ import annotations

import sys


def lock(handle: int) -> bool | None:
    """Lock an open file without waiting; return whether nobody had, or None where the file system has no locks."""
    return _lock_windows(handle) if sys.platform == "win32" else _lock_posix(handle)


def _lock_windows(handle: int) -> bool:
    import msvcrt

    try:
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]  # known on Windows only
    except OSError:
        return False
    return True


def _lock_posix(handle: int) -> bool | None:
    import fcntl

    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True
