"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from inspect import cleandoc
from typing import Annotated, Any, TypeVar

import typer

from nnx import registry
from nnx.cli.completion import names_from
from nnx.cli.usage import count
from nnx.interface import Backend

Json = Annotated[bool, typer.Option("--json", help="Print one JSON value to stdout instead of text.")]

BackendName = Annotated[
    str | None,
    typer.Option(
        "--backend",
        metavar="NAME",
        help="The engine; see nnx backends. By default $NNX_BACKEND, else numpy.",
        autocompletion=names_from(registry.names),
    ),
]

Seed = Annotated[
    int,
    typer.Option(
        "--seed",
        parser=count("--seed", 0, 2**64 - 1),
        metavar="N",
        help="Decides initial weights, dropout masks and shuffles.",
    ),
]


Command = TypeVar("Command", bound=Callable[..., Any])


def examples(*lines: str) -> Callable[[Command], Command]:
    """Show command lines at the end of a command's help."""

    def add(command: Command) -> Command:
        paragraphs = cleandoc(command.__doc__ or "").split("\n\n")
        flowing = [paragraph.replace("\n", " ") for paragraph in paragraphs]
        listed = [f"  {line}" for line in lines]
        # The backspace tells typer to keep the line breaks of a paragraph.
        command.__doc__ = "\n\n".join([*flowing, "\n".join(["\b", "Examples:", *listed])])
        return command

    return add


def find_backend(name: str | None) -> Backend:
    """Return the backend of that name, or the selected one.

    Raises:
        UnknownNameError, BackendUnavailableError: there is no such backend here.
    """
    return registry.current() if name is None else registry.get(name)
