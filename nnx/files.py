"""Writing files whole or not at all."""

from __future__ import annotations

import os
import re
import secrets
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from nnx.errors import FileFormatError, OptionError, StorageError
from nnx.locks import lock


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """Yield a temporary path beside `target` to write to; it takes target's place when the block ends well.

    A link stays one: the file it leads to is replaced. The contents are on the disk before the name changes, so a
    crash leaves the old file or the new one, never a part. If the block raises, target is untouched and the
    temporary file is removed. What processes that were killed have left of target is removed too.

    Raises:
        OptionError: target is no file but a pipe, a device or the like, which would be lost.
        OSError: the folder does not exist or cannot be written to.
    """
    target = _real_file(target, "path")
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
        OptionError: as `replacing`.
        StorageError: as `told_in_a_sentence`.
    """
    with told_in_a_sentence(target), replacing(target) as part:
        yield part


@contextmanager
def told_in_a_sentence(target: Path, option: str = "path") -> Iterator[None]:
    """Say what goes wrong on the disk while the block writes to a file, or into a folder.

    Raises:
        StorageError: it cannot be written, because the disk is full, for example.
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or error  # the text of an OSError would name the temporary file
        raise StorageError(f"{option} {str(target)!r} cannot be written: {reason}.") from error


def check_path(path: object, option: str = "path") -> Path:
    """Return a path that was given as a text or a path; errors call it by the name of its option.

    Raises:
        OptionError: it is neither.
    """
    if not isinstance(path, str | os.PathLike):
        raise OptionError(f"{option} must be a text or a pathlib.Path, got {path!r}.")
    return Path(path)


def check_readable(source: Path, remedy: str) -> None:
    """Make sure that there is a file to read; remedy is a sentence that says which to give.

    Raises:
        FileFormatError: there is none, or it is a folder, a pipe or a device.
    """
    if source.is_file():
        return
    found = "there is no such file"
    if source.is_dir():
        found = "it is a folder, not a file"
    elif source.exists():
        found = "it is a pipe or a device, not a file"
    raise FileFormatError(f"{source}: {found}. {remedy}".rstrip())


def begins_with(source: Path, mark: bytes) -> bool:
    """Tell whether a file begins with these bytes; False where it cannot be read."""
    with suppress(OSError), source.open("rb") as stream:
        return stream.read(len(mark)) == mark
    return False


def check_target(path: object, option: str = "path") -> Path:
    """Return the path of a file to write, which errors call by the name of its option.

    Raises:
        OptionError: it is no path, it is a folder, a pipe or a device, or its folder does not exist.
    """
    target = check_path(path, option)
    real = _real_file(target, option)
    if not real.parent.is_dir():
        raise OptionError(
            f"{option} must lie in a folder that exists, got {str(target)!r}; make {str(real.parent)!r} first."
        )
    return target


def check_model_target(path: object, option: str = "path") -> Path:
    """Return the path of a model's file to write.

    Raises:
        OptionError: as `check_target`, or its ending is that of another format.
    """
    target = check_target(path, option)
    check_ending(target, (".h5", ".hdf5"), f"{option} must end in .h5, as models do,")
    return target


def check_ending(target: Path, own: tuple[str, ...], wanted: str) -> None:
    """Make sure that other programs, and people, do not take a file for what it is not; any unknown ending will do.

    Raises:
        OptionError: the ending is that of a known format, and none of `own`.
    """
    ending = target.suffix.lower()
    if ending in _ENDINGS and ending not in own:
        raise OptionError(
            f"{wanted} or in none of another format, got {str(target)!r}. Give {target.with_suffix(own[0]).name!r}."
        )


_ENDINGS = frozenset(
    [
        ".h5",
        ".hdf5",
        ".keras",
        ".safetensors",
        ".npy",
        ".npz",
        ".pt",
        ".pth",
        ".pkl",
        ".onnx",
        ".png",
        ".jpg",
        ".jpeg",
        ".gif",
        ".svg",
        ".pdf",
        ".csv",
        ".json",
        ".toml",
        ".txt",
        ".md",
        ".html",
        ".zip",
        ".gz",
        ".py",
    ]
)
"""By which people and programs tell what is in a file."""


def _real_file(target: Path, option: str) -> Path:
    """Return the file that a path leads to, through links if need be; it need not exist yet.

    Raises:
        OptionError: it is something else, which a new file must not replace.
    """
    real = Path(os.path.realpath(target)) if target.is_symlink() else target
    try:
        mode = real.lstat().st_mode
    except OSError:  # what hinders the system from looking hinders it from writing, which says why
        return real
    if stat.S_ISDIR(mode):
        raise OptionError(f"{option} must name a file, got the folder {str(target)!r}.")
    if not stat.S_ISREG(mode):
        kind = _KINDS.get(stat.S_IFMT(mode), "the device")
        raise OptionError(f"{option} must name a file, got {kind} {str(target)!r}.")
    return real


_KINDS = {stat.S_IFIFO: "the pipe", stat.S_IFSOCK: "the socket", stat.S_IFLNK: "the endless link"}


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
