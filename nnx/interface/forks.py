"""Locks that a fork waits for.

A forked process has no thread but the one that forked. A lock that another thread held at that moment would never
be let go there, and what that thread was about would stay half done: for a module half imported Python itself would
wait for ever. So whoever forks takes these locks first, and lets them go in both processes.
"""

from __future__ import annotations

import os
from typing import Protocol


class Lock(Protocol):
    """What can be taken more than once by one thread, as `threading.RLock` can."""

    def acquire(self) -> object:
        """Wait for it."""

    def release(self) -> object:
        """Let it go."""


_held: list[Lock] = []
_taken: list[Lock] = []


def hold_across_forks(lock: Lock) -> None:
    """Have every fork of this process wait for a lock.

    Those added first are taken first: a lock that is taken while another one is held must be added after it. The
    registry's, held while an engine is loaded, comes before all that backends add.

    Args:
        lock: what a thread holds while it does what must not be half done in a forked process.
    """
    _held.append(lock)


def _take() -> None:
    for lock in _held:  # grows on the way if an engine that is being loaded adds its own
        lock.acquire()
        _taken.append(lock)


def _let_go() -> None:
    taken = _taken.copy()
    _taken.clear()  # before the first lock is free, and another thread that forks goes on to take them
    for lock in reversed(taken):
        lock.release()


if hasattr(os, "register_at_fork"):  # Windows cannot fork
    os.register_at_fork(before=_take, after_in_parent=_let_go, after_in_child=_let_go)
