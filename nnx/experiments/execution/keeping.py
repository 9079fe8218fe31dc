"""Results kept on disk, one JSON file for each run, so that a killed experiment goes on where it stopped.

A file holds a key, the result, how it was made, and a checksum. It is used only if its key is the one that is
looked for and all else is what a run can have left; any other file is as good as none. Nothing in it is run
as code.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from nnx.errors import StorageError
from nnx.experiments.execution.soundness import sound
from nnx.experiments.result import Result
from nnx.files import replacing

Key: TypeAlias = Mapping[str, str | int]
"""What decides the result of a run, by name; "row", "backend" and "seed" among it."""

_NOT_FINITE = ("nan", "inf", "-inf")  # JSON has no numbers for them; these words, `float` reads
_LONGEST = 60  # characters of a row's name that go into that of its file, well below what file systems take
_LARGEST = 2**25  # bytes of a file that is read; those of the experiments have at most some hundred thousand


@dataclass(frozen=True)
class Done:
    """A result, and how it was made: what times depend on, and nothing else that is measured.

    Attributes:
        result: what was measured.
        jobs: how many runs at most went side by side.
        threads: how many of them each of these had.
        date: when it ended, in UTC.
    """

    result: Result
    jobs: int
    threads: int
    date: datetime


class Kept:
    """The results kept in a folder that exists."""

    def __init__(self, folder: Path) -> None:
        """Look for results in a folder, and keep more there."""
        self.folder = folder

    def find(self, key: Key) -> Done | None:
        """Return the result of that key, or None if there is none, or only a damaged or foreign file."""
        try:
            stored = json.loads(_contents(self.path(key)))
            if stored["key"] != dict(key) or stored["sha256"] != _checksum(stored["result"], stored["made"]):
                return None
            if not all(_plain_numbers(held["dtype"]) for held in stored["result"]["arrays"].values()):
                return None
            result = Result.from_json(_each_number(_read, stored["result"]))
            return _done(replace(result, seed=int(key["seed"])), stored["made"]) if sound(result) else None
        except (OSError, ArithmeticError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return None

    def keep(self, key: Key, done: Done) -> None:
        """Write down a result, whole or not at all, in place of any other of that name.

        Raises:
            StorageError: it cannot be written, because the disk is full, for example.
        """
        text = _text(key, done)
        try:
            with replacing(self.path(key)) as part:
                part.write_text(text, encoding="utf-8")
        except OSError as error:
            raise StorageError(
                f"The result of {key['row']!r}, seed {key['seed']}, could not be kept in {str(self.folder)!r}: "
                f"{error.strerror or error}. What was kept before is there still: make room for it, and run the "
                "same command again to go on."
            ) from error

    def path(self, key: Key) -> Path:
        """Return where the result of a key is kept: a name for people, and what tells similar ones apart."""
        told = json.dumps([key["row"], key["backend"]])  # names may differ in case or in signs alone
        parts = (_plain(key["row"]), _plain(key["backend"]), f"seed-{key['seed']}", _digest(told)[:8])
        return self.folder / f"{'_'.join(part for part in parts if part)}.json"


def _contents(path: Path) -> str:
    """Return the text of a file.

    Raises:
        OSError, ValueError: it cannot be read; or it is no file, which might never end, or far too large.
    """
    found = path.stat()
    if not stat.S_ISREG(found.st_mode) or found.st_size > _LARGEST:
        raise ValueError(f"{path} is no file of at most {_LARGEST} bytes")
    return path.read_text(encoding="utf-8")


def _text(key: Key, done: Done) -> str:
    spelled = _each_number(_spell, done.result.to_json())
    made = {"jobs": done.jobs, "threads": done.threads, "date": done.date.isoformat(timespec="seconds")}
    stored = {"key": dict(key), "result": spelled, "made": made, "sha256": _checksum(spelled, made)}
    return json.dumps(stored, allow_nan=False, indent=1)


def _done(result: Result, made: Mapping[str, Any]) -> Done:
    """Return a result with how it was made.

    Raises:
        KeyError, TypeError, ValueError: that is not told.
    """
    date = datetime.fromisoformat(made["date"]).astimezone(UTC)
    if not all(type(made[count]) is int and made[count] > 0 for count in ("jobs", "threads")):
        raise ValueError(f"jobs and threads are counted from 1, got {made}")
    return Done(result, made["jobs"], made["threads"], date)


def _plain(name: str | int) -> str:
    """Return what any file system takes of a name: lower-case letters, digits, dots and hyphens."""
    return re.sub(r"[^a-z0-9.]+", "-", str(name).lower()).strip("-.")[:_LONGEST]


def _checksum(*parts: Any) -> str:
    return _digest(json.dumps(parts, allow_nan=False, sort_keys=True))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _each_number(change: Callable[[Any], Any], value: Any) -> Any:
    """Return nested lists and mappings with every value in them changed; the keys of mappings stay."""
    if isinstance(value, Mapping):
        return {name: _each_number(change, item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_each_number(change, item) for item in value]
    return change(value)


def _spell(value: Any) -> Any:
    plain = value.item() if isinstance(value, np.generic) else value
    return str(plain) if isinstance(plain, float) and not math.isfinite(plain) else plain


def _read(value: Any) -> Any:
    return float(value) if value in _NOT_FINITE else value


def _plain_numbers(dtype: object) -> bool:
    """Tell whether arrays are of numbers, before one is made: other types may ask for gigabytes an element."""
    return isinstance(dtype, str) and np.dtype(dtype).kind in "biuf"
