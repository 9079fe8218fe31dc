"""One case: a file made from a seed, given to a reader, and what came of it."""

from __future__ import annotations

import zlib
from functools import cache
from pathlib import Path

import numpy as np

from tests.fuzz.damage import ANY
from tests.fuzz.readers import READERS, mutations

READ, REFUSED = "read", "refused"
_LONGEST_MESSAGE = 2000


def contents(name: str, seed: int) -> tuple[bytes, bool]:
    """Return the file of a seed, and whether it was damaged only, not forged."""
    reader = READERS[name]
    random = np.random.default_rng([zlib.crc32(name.encode()), seed])
    changes = mutations(reader)
    change = changes[int(random.integers(len(changes)))]
    return change(random, _corpus(name)), change in ANY


def outcome(name: str, seed: int, folder: Path) -> str:
    """Make a case and return `READ`, `REFUSED`, or what is wrong with how the reader took it."""
    data, damaged = contents(name, seed)
    path = folder / READERS[name].file_name
    path.write_bytes(data)
    try:
        found = READERS[name].read(path)
    except READERS[name].errors as error:
        return _judge(error)
    except BaseException as error:
        return f"raised {type(error).__name__}: {error}"[:300]
    if READERS[name].checked and damaged and found not in _whole(name):
        return "took damaged contents for whole ones"
    return READ


def _judge(error: BaseException) -> str:
    """Return `REFUSED` if an error is one that people can read, raised without a failed allocation on the way."""
    text, cause = str(error), error.__cause__ or error.__context__
    while cause is not None:
        if isinstance(cause, MemoryError):
            return f"allocated more than it may: {cause!r}"
        cause = cause.__cause__ or cause.__context__
    if len(text) > _LONGEST_MESSAGE:
        return f"message of {len(text)} characters: {text[:150]}"
    if any(not character.isprintable() for character in text.replace("\n", "")):
        return f"message with control characters: {text[:150]!r}"
    return REFUSED


@cache
def _corpus(name: str) -> list[bytes]:
    return READERS[name].corpus()


@cache
def _whole(name: str) -> list[object]:
    """Return what reading the whole files gives."""
    import tempfile

    reader, found = READERS[name], []
    for data in _corpus(name):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, reader.file_name)
            path.write_bytes(data)
            try:
                found.append(reader.read(path))
            except reader.errors:
                continue
    return found
