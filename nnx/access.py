"""Who uses a model at the moment: any number of threads that read it, or one that changes it."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from nnx.errors import BackendError

_OWN = "give each thread a model of its own"


class Access:
    """Refuses what would read a model while another thread changes it, or change it while another one reads.

    Nobody ever waits here. A lock that is waited for would have to be let go by a thread that a forked process
    does not have.
    """

    def __init__(self) -> None:
        """Begin with nobody."""
        self._lock = threading.Lock()
        self._changer: int | None = None
        self._readers: dict[object, tuple[int, int]] = {}  # process and thread of each

    @contextmanager
    def exclusively(self) -> Iterator[None]:
        """Train, compile or move the model in the block.

        Raises:
            BackendError: somebody is at it, be it the caller of a callback, or another thread reads the model.
        """
        if not self._lock.acquire(blocking=False):
            raise BackendError(
                f"This model is being trained already; {_OWN}, and do not train, compile or move a model in a "
                "callback."
            )
        try:
            self._changer = threading.get_ident()
            me = os.getpid(), self._changer
            if any(process == me[0] and thread != me[1] for process, thread in list(self._readers.values())):
                raise BackendError(
                    "This model is being used by another thread, under which it would change; wait until that is "
                    f"done, or {_OWN}."
                )
            yield
        finally:
            self._changer = None
            self._lock.release()

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Change the model in the block, as callbacks may too, in the thread that trains it.

        Raises:
            BackendError: another thread uses the model.
        """
        if self._changer == threading.get_ident():
            yield
        else:
            with self.exclusively():
                yield

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Read the model in the block, as callbacks may too, in the thread that trains it.

        Raises:
            BackendError: another thread changes the model.
        """
        reader, me = object(), threading.get_ident()
        self._readers[reader] = os.getpid(), me  # before looking, so that one of two that come at once is seen
        try:
            if self._lock.locked() and self._changer != me:
                raise BackendError(
                    "This model is being trained or changed by another thread, so that what is read now would be "
                    f"half old and half new; predict and save when that is done, or in a callback, or {_OWN}."
                )
            yield
        finally:
            del self._readers[reader]
