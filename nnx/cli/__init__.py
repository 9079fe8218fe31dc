"""The command `nnx`: a demonstration, training, prediction, and what is installed.

Results go to stdout, everything else to stderr; --json leaves exactly one JSON value on stdout. Exit codes:
0 done; 1 it could not be done, or a check failed; 2 the command line or an option is wrong; 130 interrupted.
"""

from __future__ import annotations

from typing import Annotated

import typer

from nnx.cli.group import Commands
from nnx.cli.messages import LEVELS, show_messages
from nnx.cli.options import examples

__all__ = ["app", "main"]

app = typer.Typer(
    name="nnx",
    cls=Commands,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from nnx import __version__

        typer.echo(f"nnx {__version__}")
        raise typer.Exit


@app.callback()
@examples(
    "nnx demo",
    "nnx train mnist --optimizer adam --save mnist.h5",
    "nnx predict mnist.h5 picture.png",
    "nnx --log-level debug train digits --backend numba",
)
def _nnx(
    context: typer.Context,
    log_level: Annotated[
        str,
        typer.Option(
            "--log-level",
            metavar="NAME",
            help=f"From where on messages go to stderr: {', '.join(LEVELS.names)}.",
            parser=LEVELS,
            autocompletion=LEVELS.complete,
        ),
    ] = "warning",
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Write a neural network once; run it on NumPy, Numba or a CUDA GPU; see that all three agree."""
    del version
    show_messages(context, log_level)


def main() -> None:
    """Run the command line."""
    app(prog_name="nnx")
