"""Options from a TOML file: `nnx train --config FILE`."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import typer

from nnx.cli.training import DEFAULT_EPOCHS
from nnx.errors import OptionError, UnknownNameError, excerpt, shown

_LIMIT = 1 << 14
"""Largest file that is read, in bytes: far more than all options take; the parser needs at most seconds for it."""


def read_configuration(context: typer.Context, path: Path | None) -> Path | None:
    """Make the values in a TOML file the defaults of all other options; a callback of the option --config.

    Raises:
        OptionError: the file cannot be read, or a value is not one that the option takes.
        UnknownNameError: a key is not the name of an option.
    """
    if path is not None:
        flags = {option.name: getattr(option, "is_flag", False) for option in _options(context)}
        context.default_map = dict(_understand(path, key, value, flags) for key, value in _read(path).items())
    return path


def _options(context: typer.Context) -> list[Any]:
    options = [item for item in context.command.params if item.param_type_name == "option"]
    return [option for option in options if option.name not in ("config", "help")]


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


def _understand(path: Path, key: str, value: Any, flags: dict[str, bool]) -> tuple[str, Any]:
    """Return the name of the option and its value as one would type it; flags stay true or false."""
    name = key.replace("-", "_")
    if name not in flags:
        raise UnknownNameError(f"option in {str(path)!r}:", key, flags)
    if flags[name] != isinstance(value, bool):
        expected = "true or false" if flags[name] else "a text or a number"
        raise OptionError(f"{key} in {str(path)!r} must be {expected}, got {shown(value)}.")
    if isinstance(value, list):
        return name, ",".join(map(str, value))
    if not isinstance(value, str | int | float):
        raise OptionError(
            f"{key} in {str(path)!r} must be a text, a number or a list of numbers, got {shown(value)}."
        )
    return name, value if flags[name] else str(value)


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
