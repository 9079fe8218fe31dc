"""Ctrl-C and SIGTERM, put off until what is being computed is done and saved; a second one ends at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


class Interrupts:
    """Remembers the first signal that came.

    Attributes:
        number: which signal came, or None.
    """

    def __init__(self) -> None:
        """Begin without one."""
        self.number: int | None = None
        self._former: dict[int, Any] = {}

    def install(self) -> None:
        """Take the signals over from whatever they did before."""
        for number in (signal.SIGINT, signal.SIGTERM):
            self._former[number] = signal.signal(number, self._notice)

    def remove(self) -> None:
        """Let the signals do again what they did before."""
        for number, handler in self._former.items():
            signal.signal(number, handler)
        self._former.clear()

    def _notice(self, number: int, frame: FrameType | None) -> None:
        del frame
        self.number = number
        self.remove()  # so that a second one ends at once

    def error(self) -> BaseException:
        """Return what to raise once all is saved: what the signal stands for."""
        if self.number == signal.SIGTERM:
            return SystemExit(128 + signal.SIGTERM)
        return KeyboardInterrupt("training was interrupted, and saved between two steps")


@contextmanager
def put_off(wanted: bool) -> Iterator[Interrupts]:
    """Put signals off while the block runs, if wanted; only the main thread can, in others nothing is changed."""
    interrupts = Interrupts()
    if wanted and threading.current_thread() is threading.main_thread():
        interrupts.install()
    try:
        yield interrupts
    finally:
        interrupts.remove()
