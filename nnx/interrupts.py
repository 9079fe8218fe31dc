"""Ctrl-C and SIGTERM, put off until what is being computed is done and saved; a second one ends at once."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


class Interrupts:
    """Remembers the first signal that came.

    Attributes:
        number: which signal came and has not been handed on, or None.
    """

    def __init__(self) -> None:
        """Begin without one."""
        self.number: int | None = None
        self._former: dict[int, Any] = {}
        self._handler: Any = None

    def install(self) -> None:
        """Take over the signals that do something; those that are ignored, or not Python's, stay so."""
        for number in (signal.SIGINT, signal.SIGTERM):
            former = signal.getsignal(number)
            if former is not None and former != signal.SIG_IGN:
                self._former[number] = signal.signal(number, self._notice)

    def remove(self) -> None:
        """Let the signals do again what they did before; handlers that others have put there since stay."""
        for number, handler in self._former.items():
            if signal.getsignal(number) == self._notice:
                signal.signal(number, handler)
        self._former.clear()

    def _notice(self, number: int, frame: FrameType | None) -> None:
        del frame
        self.number, self._handler = number, self._former.get(number)
        self.remove()  # so that a second one ends at once

    def handler_of(self, number: int) -> Any:
        """Return what a signal did before it was put off."""
        return self._handler if self.number == number else self._former.get(number)

    def say(self, text: str) -> None:
        """Tell people why the program ends."""
        print(text, file=sys.stderr)

    def hand_on(self, text: str) -> None:
        """Do, once all is saved, what the signal stands for: call the handler that was there before, or end.

        A handler of the user's own, or of a `fit` around this one, may return: then training goes on.

        Raises:
            KeyboardInterrupt: with this text.
            SystemExit: at SIGTERM; Python would end without a word, so the text goes to stderr.
        """
        number, handler = self.number, self._handler
        self.number = None
        if number is None:
            return
        if callable(handler) and handler is not signal.default_int_handler:
            handler(number, None)
        elif number == signal.SIGTERM:
            self.say(text)
            raise SystemExit(128 + signal.SIGTERM)
        else:
            raise KeyboardInterrupt(text)


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


@contextmanager
def before_training() -> Iterator[None]:
    """Let a Ctrl-C in the block say that there is nothing yet to be lost."""
    try:
        yield
    except KeyboardInterrupt as error:
        raise KeyboardInterrupt("interrupted before training began") from error
