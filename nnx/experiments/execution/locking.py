"""One run at a time in a folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nnx.errors import StorageError
from nnx.locks import lock

LOCK = ".lock"
"""The file in the folder; it stays there, since to remove one that another process is opening would let two in."""


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Keep other runs out of a folder; the system lets them in when this process ends, however it ends.

    Raises:
        StorageError: another run is in it, or nothing can be written to it.
    """
    try:
        handle = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | getattr(os, "O_NONBLOCK", 0), 0o666)
    except OSError as error:
        raise StorageError(f"{str(folder / LOCK)!r} cannot be written: {error.strerror or error}.") from error
    try:
        if lock(handle) is False:  # without locks, better two runs at once than none at all
            raise StorageError(
                f"Another run is writing to {str(folder)!r}: wait until it has ended, or choose another folder."
            )
        yield
    finally:
        os.close(handle)
