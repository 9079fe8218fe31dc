"""Options from a TOML file: `nnx train --config FILE`, and what such a file may hold: `nnx train --schema`."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from inspect import unwrap
from pathlib import Path
from typing import Any

import typer

from nnx.cli.output import print_json
from nnx.cli.schema import Option, options_of, schema_of
from nnx.cli.training import DEFAULT_EPOCHS
from nnx.errors import OptionError, UnknownNameError, excerpt, shown

_LIMIT = 1 << 14
"""Largest file that is read, in bytes: far more than all options take; the parser needs at most seconds for it."""


_RULES = {
    "not": {"required": ["epochs", "iterations"]},
    "dependencies": {
        "patience": {
            "required": ["validation-split"],
            "properties": {"validation-split": {"exclusiveMinimum": 0}},
        }
    },
}
"""What holds of several options together, for a file that is to do without any typed ones."""


def read_configuration(context: typer.Context, path: Path | None) -> Path | None:
    """Make the values in a TOML file the defaults of all other options; a callback of the option --config.

    Raises:
        OptionError: the file cannot be read, or a value is not one that the option takes.
        UnknownNameError: a key is not the name of an option.
    """
    if path is not None:
        options = {option.name: option for option in options_of(_function(context))}
        context.default_map = dict(_understand(path, key, value, options) for key, value in _read(path).items())
    return path


def print_schema(context: typer.Context, wanted: bool) -> None:
    """Print what such a file may hold, as JSON Schema, and end; a callback of the option --schema."""
    if wanted:
        print_json(schema_of(_function(context), f"Options of {context.command_path}, from a file", _RULES))
        raise typer.Exit


def _function(context: typer.Context) -> Callable[..., Any]:
    """Return the function of the command, which typer wraps."""
    wrapped: Any = context.command.callback
    function: Callable[..., Any] = unwrap(wrapped)
    return function


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise OptionError(f"--config must name a TOML file, got {str(path)!r}, which is not a file.")
    if path.stat().st_size > _LIMIT:
        raise OptionError(f"--config: {str(path)!r} may have {_LIMIT:,} bytes, got {path.stat().st_size:,}.")
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:  # ValueError: not UTF-8, or not TOML
        reason = excerpt(str(error))
        raise OptionError(f"--config: {str(path)!r} is not a readable TOML file: {reason}.") from error


def _understand(path: Path, key: str, value: Any, options: Mapping[str, Option]) -> tuple[str, Any]:
    """Return the command's own name of an option, and its value as one would type it; flags stay true or false."""
    if key not in options:
        raise UnknownNameError(f"option in {str(path)!r}:", key, options)
    option = options[key]
    if not option.value.takes(value):
        raise OptionError(f"{key} in {str(path)!r} must be {option.value.wanted}, got {shown(value)}.")
    return option.parameter, option.value.as_typed(value)


def resolve_length(context: typer.Context, epochs: int | None, iterations: int | None) -> dict[str, int | None]:
    """Return epochs and iterations, one of them None; what was typed wins over the file.

    Raises:
        OptionError: both come from the same place.
    """
    if epochs is None and iterations is None:
        return {"epochs": DEFAULT_EPOCHS, "iterations": None}
    if epochs is not None and iterations is not None:
        typed = [name for name in ("epochs", "iterations") if _was_typed(context, name)]
        if len(typed) != 1:
            raise OptionError("--epochs and --iterations exclude each other; give one of them.")
        epochs, iterations = (epochs, None) if typed == ["epochs"] else (None, iterations)
    return {"epochs": epochs, "iterations": iterations}


def _was_typed(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"
