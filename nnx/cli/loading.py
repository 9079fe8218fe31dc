"""Where the commands are: each is loaded when it is asked for, since a shell that completes a line waits for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

import typer

from nnx.cli.usage import Command

PLACES = {
    "demo": "nnx.cli.demo:demo",
    "train": "nnx.cli.train:train",
    "predict": "nnx.cli.predict:predict",
    "export": "nnx.cli.export:export",
    "backends": "nnx.cli.backends:list_backends",
    "check": "nnx.cli.check:check",
    "diff": "nnx.cli.diff:diff",
    "bench": "nnx.cli.bench:bench",
    "report": "nnx.cli.report:report",
    "data": "nnx.cli.data:data",
    "example": "nnx.cli.example:example",
    "experiment": "nnx.cli.experiment:experiment",
}
"""The function of a command, or the group of several, by the name that is typed; in the order of the help."""


class Places(Mapping[str, Any]):
    """The commands by name; its keys are there without any of them."""

    def __init__(self) -> None:
        """Load none of them."""
        self._loaded: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        """Return a command."""
        if name not in self._loaded:
            self._loaded[name] = _load(name)
        return self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        """Yield the names."""
        return iter(PLACES)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(PLACES)


def _load(name: str) -> Any:
    module, _, attribute = PLACES[name].partition(":")
    found = getattr(import_module(module), attribute)
    if not isinstance(found, typer.Typer):
        found, function = typer.Typer(add_completion=False), found
        found.command(name, cls=Command)(function)
    command = typer.main.get_command(found)
    command.name = name
    return command
