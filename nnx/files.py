"""Writing files whole or not at all."""

from __future__ import annotations

import os
import re
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from nnx.errors import OptionError, StorageError
from nnx.locks import lock


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """Yield a temporary path beside `target` to write to; it takes target's place when the block ends well.

    The contents are on the disk before the name changes, so a crash leaves the old file or the new one, never
    a part. If the block raises, target is untouched and the temporary file is removed. What processes that were
    killed have left of target is removed too.

    Raises:
        OSError: the folder does not exist or cannot be written to.
    """
    _remove_leftovers(target)
    with _temporary(target) as part:
        yield part
        _flush(part)
        part.replace(target)
    _flush(target.parent)


@contextmanager
def storing(target: Path) -> Iterator[Path]:
    """Yield a temporary path as `replacing` does.

    Raises:
        StorageError: as `told_in_a_sentence`.
    """
    with told_in_a_sentence(target), replacing(target) as part:
        yield part


@contextmanager
def told_in_a_sentence(target: Path) -> Iterator[None]:
    """Say what goes wrong on the disk while the block writes to a file.

    Raises:
        StorageError: the file cannot be written, because the disk is full, for example.
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or error  # the text of an OSError would name the temporary file
        raise StorageError(f"path {str(target)!r} cannot be written: {reason}.") from error


def check_path(path: object) -> Path:
    """Return a path that was given as a text or a path.

    Raises:
        OptionError: it is neither.
    """
    if not isinstance(path, str | os.PathLike):
        raise OptionError(f"path must be a text or a pathlib.Path, got {path!r}.")
    return Path(path)


def check_target(path: object) -> Path:
    """Return the path of a file to write.

    Raises:
        OptionError: it is no path, it is a folder, or its folder does not exist.
    """
    target = check_path(path)
    if target.is_dir():
        raise OptionError(f"path must name a file, got the folder {str(target)!r}.")
    if not target.parent.is_dir():
        raise OptionError(
            f"path must lie in a folder that exists, got {str(target)!r}; make {str(target.parent)!r} first."
        )
    return target


@contextmanager
def _temporary(target: Path) -> Iterator[Path]:
    """Yield a new file beside `target`, locked as long as this process lives, and removed if it is still there."""
    handle, part = _create(target)
    try:
        try:
            yield part
        finally:
            part.unlink(missing_ok=True)
    finally:
        if handle is not None:
            os.close(handle)


def _create(target: Path) -> tuple[int | None, Path]:
    """Make a file of a name that nobody has, with the permissions of any new file.

    The system takes the umask off by itself. A program can only ask for it by setting it, for all of its threads:
    two that ask at once can leave it at 0, so that whatever is written from then on is everybody's.
    """
    while True:
        part = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
        with suppress(FileExistsError):
            handle = os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
            if sys.platform == "win32":  # an open file cannot be renamed there
                os.close(handle)
                return None, part
            if lock(handle) is not False and os.fstat(handle).st_nlink:
                return handle, part
            os.close(handle)  # taken for a leftover before it was locked


def _remove_leftovers(target: Path) -> None:
    """Remove temporary files of `target` whose processes have ended; where files cannot be locked, none is."""
    if sys.platform == "win32":
        return
    first = f".{target.name}."
    name = re.compile(re.escape(first) + r"[0-9a-f]{8}\.part")
    with suppress(OSError), os.scandir(target.parent) as entries:
        for entry in entries:  # there may be thousands
            if entry.name.startswith(first) and name.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                _remove_unless_locked(entry.path)


def _remove_unless_locked(path: str) -> None:
    with suppress(OSError):
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)  # whatever has taken its place
        try:
            if lock(handle):
                Path(path).unlink()
        finally:
            os.close(handle)


def _flush(path: Path) -> None:
    """Wait until a file, or a folder's list of names, is on the disk; not every system can do the latter."""
    if path.is_dir() and os.name == "nt":
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
