"""Who uses a model at the moment: any number of threads that read it, or one that changes it."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from nnx.errors import BackendError

_OWN = "give each thread a model of its own"

_Who = tuple[int, int]
"""Process and thread."""


class Access:
    """Refuses what would read a model while another thread changes it, or change it while another one reads.

    Nobody ever waits here. A lock that is waited for would have to be let go by a thread that a forked process
    does not have: there the readers among such threads count no longer, while the model that one of them was
    changing stays half changed, and is refused for good.
    """

    def __init__(self) -> None:
        """Begin with nobody."""
        self._lock = threading.Lock()
        self._changer: _Who | None = None
        self._readers: dict[Reading, _Who] = {}

    @contextmanager
    def exclusively(self) -> Iterator[None]:
        """Train, compile or move the model in the block.

        Who is refused because others read the model holds it for a moment, in which further readers may be refused
        in their turn: one that tries again and again can so keep them out.

        Raises:
            BackendError: somebody is at it, be it the caller of a callback, or another thread reads the model.
        """
        if not self._lock.acquire(blocking=False):
            self._refuse_half_changed()
            raise BackendError(
                f"This model is being trained or changed already; {_OWN}, and do not train, compile or move a "
                "model in a callback."
            )
        try:
            me = self._changer = os.getpid(), threading.get_ident()
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
        if self._is_changed_by(threading.get_ident()):
            yield
        else:
            with self.exclusively():
                yield

    def reading(self) -> Reading:
        """Read the model in the block, as callbacks may too, in the thread that trains it.

        Raises:
            BackendError: another thread changes the model, or is just being refused to; see `exclusively`.
        """
        return Reading(self)

    def _is_changed_by(self, thread: int) -> bool:
        """Tell whether this is the thread that changes the model, be it as the one of a process that it forked."""
        changer = self._changer
        return changer is not None and changer[1] == thread and not _is_lost(changer)

    def _check_whole(self, reader: int) -> None:
        if self._is_changed_by(reader):
            return
        self._refuse_half_changed()
        raise BackendError(
            "This model is being trained or changed by another thread, so that what is read now would be half old "
            f"and half new; predict and save when that is done, or in a callback, or {_OWN}."
        )

    def _refuse_half_changed(self) -> None:
        changer = self._changer
        if changer is not None and _is_lost(changer):
            raise BackendError(
                "This model was being trained or changed by another thread when this process was forked, so that "
                "it may be half old and half new here for good; load it anew, from a file, or make another one."
            )


class Reading:
    """A block that reads a model: a class, since a generator would take longer than a small model's prediction."""

    __slots__ = ("_access",)

    def __init__(self, access: Access) -> None:
        """Take what is asked."""
        self._access = access

    def __enter__(self) -> None:
        """Begin, unless another thread changes the model."""
        access, me = self._access, (os.getpid(), threading.get_ident())
        access._readers[self] = me  # before looking, so that one of two that come at once is seen
        if access._lock.locked():
            try:
                access._check_whole(me[1])
            except BackendError:
                del access._readers[self]
                raise

    def __exit__(self, *_: object) -> None:
        """End, be it with an error."""
        del self._access._readers[self]


def _is_lost(changer: _Who) -> bool:
    """Tell whether this thread is one of those that a fork has left behind; the one that forked goes on in both."""
    process, thread = changer
    return process != os.getpid() and thread != threading.main_thread().ident
