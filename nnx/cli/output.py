"""What the commands print: results to stdout, notes to stderr, and files whole or not at all."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from nnx import files
from nnx.errors import OptionError

_WIDTH_OF_FILES = 160
"""Columns of a table that is not shown on a terminal, which would tell its own width."""


def note(text: str) -> None:
    """Print a line for people to stderr."""
    _print(text, to_stderr=True)


def say(text: str) -> None:
    """Print a line of results to stdout."""
    _print(text, to_stderr=False)


def _print(text: str, to_stderr: bool) -> None:
    from rich.console import Console

    Console(stderr=to_stderr, soft_wrap=True).print(text, markup=False, highlight=False, emoji=False)


def paragraph(text: str) -> None:
    """Print text of results to stdout, in lines that are broken between words to fit; spaces are kept."""
    from rich.text import Text

    _print_lines(Text(text))


def print_json(value: Any) -> None:
    """Print one JSON value, and nothing else, to stdout."""
    print(json.dumps(value, indent=2, allow_nan=False))


def print_table(headings: Sequence[str], rows: Iterable[Sequence[str]], numbers: Sequence[str] = ()) -> None:
    """Print a table to stdout.

    Args:
        headings: one per column.
        rows: cells, as many per row.
        numbers: the headings of those columns that are aligned to the right.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for heading in headings:
        table.add_column(heading, justify="right" if heading in numbers else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    _print_lines(table)


def _print_lines(content: Any) -> None:
    """Print what rich lays out to stdout, without blanks at the ends of lines."""
    from rich.console import Console
    from rich.text import Text

    console = Console()
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = _WIDTH_OF_FILES
    with console.capture() as laid_out:
        console.print(content, highlight=False, markup=False, emoji=False)
    for line in Text.from_ansi(laid_out.get()).split("\n"):
        line.rstrip()
        console.print(line, soft_wrap=True, highlight=False)


def check_writable(option: str, path: Path | None) -> None:
    """Make sure, before any work is done, that a file can be written.

    Raises:
        OptionError: as `nnx.files.check_target`, or its folder cannot be written to.
    """
    if path is None:
        return
    files.check_target(path, option)
    _try_folder(option, path.resolve().parent)


def check_models(targets: Mapping[str, Path | None]) -> None:
    """Make sure, before any work is done, that the files of these options have endings that models may have.

    Raises:
        OptionError: as `nnx.files.check_model_target`.
    """
    for option, path in targets.items():
        if path is not None:
            files.check_model_target(path, option)


def check_targets(targets: Mapping[str, Path | None]) -> None:
    """Make sure, before any work is done, that the files of these options can be written, each to its own.

    Raises:
        OptionError: as `check_writable`, or two options name the same file.
    """
    taken: dict[Path, str] = {}
    for option, path in targets.items():
        check_writable(option, path)
        if path is None:
            continue
        other = taken.setdefault(path.resolve(), option)
        if other != option:
            raise OptionError(f"{other} and {option} must name different files, got {str(path)!r} for both.")


def make_folder(option: str, folder: Path) -> None:
    """Make a folder, with those above it, unless it exists.

    Raises:
        OptionError: that is not possible, or nothing can be written into it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OptionError(f"{option}: the folder {str(folder)!r} cannot be made: {error.strerror}.") from error
    _try_folder(option, folder)


def _try_folder(option: str, folder: Path) -> None:
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OptionError(f"{option}: nothing can be written to {str(folder)!r}: {error.strerror}.") from error


def write_text(path: Path, text: str) -> None:
    """Write a text file, whole or not at all."""
    with files.replacing(path) as part:
        part.write_text(text, encoding="utf-8", newline="")
