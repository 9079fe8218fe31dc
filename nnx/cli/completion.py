"""What the Tab key offers in place of a value; see `nnx --install-completion`.

Nothing here loads an engine, reads a file or asks the network: a shell waits for it. Where nothing is offered, the
shell offers files of its own accord.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path

_LOOKED_AT = 2000
"""Entries of folders that are looked at for files: some milliseconds, whatever folder one stands in."""

Complete = Callable[[str], list[str]]


def names_from(source: Callable[[], Iterable[str]]) -> Complete:
    """Return what offers the names that a function gives, asked when the key is pressed."""

    def complete(incomplete: str) -> list[str]:
        return [name for name in source() if name.startswith(incomplete)]

    return complete


def files_ending(*endings: str) -> Complete:
    """Return what offers files of these endings, those of folders further down too; hidden folders aside."""

    def complete(incomplete: str) -> list[str]:
        head, _, typed = incomplete.rpartition("/")
        top = Path(f"{head}/" if "/" in incomplete else ".").expanduser()
        found = (str(path.relative_to(top)) for path in islice(_below(top), _LOOKED_AT) if path.suffix in endings)
        start = incomplete.removesuffix(typed)
        return sorted(f"{start}{name}" for name in found if name.startswith(typed))

    return complete


def _below(top: Path) -> Iterator[Path]:
    """Yield what lies in a folder, and then what lies further down: the nearest first."""
    folders = [top]
    for folder in folders:
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError:  # it cannot be read, or has gone
            continue
        for entry in entries:
            yield Path(entry.path)
            if entry.is_dir(follow_symlinks=False) and not entry.name.startswith("."):
                folders.append(Path(entry.path))
