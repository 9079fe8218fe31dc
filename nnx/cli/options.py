"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

from nnx import registry
from nnx.interface import Backend

Json = Annotated[bool, typer.Option("--json", help="Print one JSON value to stdout instead of text.")]

BackendName = Annotated[
    str | None,
    typer.Option(
        "--backend", metavar="NAME", help="The engine; see nnx backends. [default: $NNX_BACKEND, else numpy]"
    ),
]

Seed = Annotated[int, typer.Option("--seed", help="Decides initial weights, dropout masks and shuffles.")]


def find_backend(name: str | None) -> Backend:
    """Return the backend of that name, or the selected one.

    Raises:
        UnknownNameError, BackendUnavailableError: there is no such backend here.
    """
    return registry.current() if name is None else registry.get(name)
