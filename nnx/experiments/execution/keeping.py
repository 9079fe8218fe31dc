"""Results kept on disk, one JSON file for each run, so that a killed experiment goes on where it stopped.

A file holds a key, the result and a checksum of it. It is used only if its key is the one that is looked for and
the checksum is right; any other file is as good as none. Nothing in a file is ever run as code.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from nnx.errors import StorageError
from nnx.experiments.result import Result
from nnx.files import replacing

Key: TypeAlias = Mapping[str, str | int]
"""What decides the result of a run, by name; "row", "backend" and "seed" among it."""

_NOT_FINITE = ("nan", "inf", "-inf")  # JSON has no numbers for them; these words, `float` reads
_LONGEST = 60  # characters of a row's name that go into that of its file, well below what file systems take


class Kept:
    """The results kept in a folder that exists."""

    def __init__(self, folder: Path) -> None:
        """Look for results in a folder, and keep more there."""
        self.folder = folder

    def find(self, key: Key) -> Result | None:
        """Return the result of that key, or None if there is none, or only a damaged or foreign file."""
        try:
            stored = json.loads(self.path(key).read_text(encoding="utf-8"))
            if stored["key"] != dict(key) or stored["sha256"] != _checksum(stored["result"]):
                return None
            if not all(_plain_numbers(held["dtype"]) for held in stored["result"]["arrays"].values()):
                return None
            result = Result.from_json(_each_number(_read, stored["result"]))
            return result if _sound(result) else None
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError):
            return None

    def keep(self, key: Key, result: Result) -> None:
        """Write down a result, whole or not at all, in place of any other of that name.

        Raises:
            StorageError: it cannot be written, because the disk is full, for example.
        """
        spelled = _each_number(_spell, result.to_json())
        stored = {"key": dict(key), "result": spelled, "sha256": _checksum(spelled)}
        text = json.dumps(stored, allow_nan=False, indent=1)
        try:
            with replacing(self.path(key)) as part:
                part.write_text(text, encoding="utf-8")
        except OSError as error:
            raise StorageError(
                f"The result of {key['row']!r}, seed {key['seed']}, could not be kept in {str(self.folder)!r}: "
                f"{error.strerror or error}. What was kept before is there still: make room, and run the same "
                "command again to go on."
            ) from error

    def path(self, key: Key) -> Path:
        """Return where the result of a key is kept: a name for people, and what tells similar ones apart."""
        told = json.dumps([key["row"], key["backend"]])  # names may differ in case or in signs alone
        parts = (_plain(key["row"]), _plain(key["backend"]), f"seed-{key['seed']}", _digest(told)[:8])
        return self.folder / f"{'_'.join(part for part in parts if part)}.json"


def _plain(name: str | int) -> str:
    """Return what any file system takes of a name: lower-case letters, digits, dots and hyphens."""
    return re.sub(r"[^a-z0-9.]+", "-", str(name).lower()).strip("-.")[:_LONGEST]


def _checksum(result: Any) -> str:
    return _digest(json.dumps(result, allow_nan=False, sort_keys=True))


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


def _sound(result: Result) -> bool:
    """Tell whether a result holds numbers where it should, and curves of as many values as steps."""
    curves = result.curves.values()
    numbers = [result.figures.values(), *(values for curve in curves for values in (curve.steps, curve.values))]
    return (
        all(_real(number) for values in numbers for number in values)
        and all(isinstance(curve.steps, list) and isinstance(curve.values, list) for curve in curves)
        and all(len(curve.steps) == len(curve.values) for curve in curves)
    )


def _real(number: object) -> bool:
    """Tell whether this is a number that float64 can hold, be it not exactly."""
    return isinstance(number, float) or (isinstance(number, int) and abs(number) < 1 << 64)
