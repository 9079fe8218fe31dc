"""The options of a command as a JSON Schema, by which editors complete and check a file for --config."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from inspect import signature
from typing import Any, get_args, get_type_hints

from typer.models import OptionInfo

from nnx.cli.values import Flag, Schema, Text


@dataclass(frozen=True)
class Option:
    """An option of a command that a file may give.

    Attributes:
        name: as on the command line, without the dashes in front.
        parameter: the command's own name for it.
        help: what it does.
        default: Python's value, or None where there is none.
        value: what it takes.
    """

    name: str
    parameter: str
    help: str
    default: Any
    value: Text


def options_of(command: Callable[..., Any]) -> Iterator[Option]:
    """Yield the options of a command but the eager ones, which say where to find others, or end it."""
    hints = get_type_hints(command, include_extras=True)
    for name, parameter in signature(command).parameters.items():
        kind, *notes = get_args(hints[name]) or (None,)
        for info in notes:
            if isinstance(info, OptionInfo) and not info.is_eager:
                value = info.parser if isinstance(info.parser, Text) else (Flag() if kind is bool else Text())
                yield Option(name.replace("_", "-"), name, info.help or "", parameter.default, value)


def schema_of(command: Callable[..., Any], title: str, rules: Mapping[str, Any]) -> Schema:
    """Return what a file of a command's options may hold, in draft 7 of JSON Schema, which editors know best.

    Args:
        command: the function, with typer's annotations.
        title: of what.
        rules: what holds of several options together, as further keywords.
    """
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": title,
        "type": "object",
        "properties": {option.name: _property(option) for option in options_of(command)},
        "additionalProperties": False,
        **rules,
    }


def _property(option: Option) -> Schema:
    default = {} if option.default is None else {"default": option.default}
    return {"description": option.help, **option.value.schema(), **default}
