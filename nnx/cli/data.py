"""`nnx data`: the data sets, where they are, and how to get them."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from nnx.cli.completion import names_from
from nnx.cli.options import Json, examples
from nnx.cli.output import print_json, print_table, say
from nnx.cli.usage import Command
from nnx.datasets import fetch, info, names, status

data = typer.Typer(no_args_is_help=True, add_completion=False)


@data.callback()
@examples("nnx data list", "nnx data fetch mnist")
def _data() -> None:
    """List data sets and download them."""


@data.command("list", cls=Command)
@examples(
    "nnx data list",
)
def list_data(json: Json = False) -> None:
    """Show the data sets and where each is found."""
    entries = [_describe(name) for name in names()]
    if json:
        print_json(entries)
    else:
        rows = [(e["name"], e["title"], _size(e["bytes"]), e["place"], e["licence"]) for e in entries]
        print_table(("name", "contents", "size", "place", "licence"), rows, numbers=("size",))


@data.command("fetch", cls=Command)
@examples(
    "nnx data fetch mnist",
)
def fetch_data(
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", help="A data set; see nnx data list.", autocompletion=names_from(names)),
    ],
    json: Json = False,
) -> None:
    """Make sure that a data set is here, downloading it if need be, and show its files."""
    known = name.replace("-", "_")
    paths = [str(path) for path in fetch(known)]
    if json:
        print_json({"name": known, "files": paths})
    else:
        for path in paths:
            say(path)


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 50_000 else f"{count / 1e3:.1f} kB"


def _describe(name: str) -> dict[str, Any]:
    entry = info(name)
    return {
        "name": name,
        "kind": entry.kind,
        "title": entry.title,
        "classes": list(entry.classes),
        "bytes": entry.size,
        "place": status(name),
        "publisher": entry.publisher,
        "licence": entry.licence,
        "page": entry.page,
    }
