"""The command `nnx`: a demonstration, training, prediction, and what is installed.

Results go to stdout, everything else to stderr; --json leaves exactly one JSON value on stdout. Exit codes:
0 done; 1 it could not be done, or a check failed; 2 the command line or an option is wrong; 130 interrupted.
"""

from __future__ import annotations

from typing import Annotated

import typer

from nnx.cli.backends import list_backends
from nnx.cli.bench import bench
from nnx.cli.check import check
from nnx.cli.data import data
from nnx.cli.demo import demo
from nnx.cli.diff import diff
from nnx.cli.example import example
from nnx.cli.experiment import experiment
from nnx.cli.export import export
from nnx.cli.group import Commands
from nnx.cli.options import examples
from nnx.cli.predict import predict
from nnx.cli.report import report
from nnx.cli.train import train
from nnx.cli.usage import Command

__all__ = ["app", "main"]

app = typer.Typer(
    name="nnx",
    cls=Commands,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("demo", cls=Command)(demo)
app.command("train", cls=Command)(train)
app.command("predict", cls=Command)(predict)
app.command("export", cls=Command)(export)
app.command("backends", cls=Command)(list_backends)
app.command("check", cls=Command)(check)
app.command("diff", cls=Command)(diff)
app.command("bench", cls=Command)(bench)
app.command("report", cls=Command)(report)
app.add_typer(data, name="data")
app.add_typer(example, name="example")
app.add_typer(experiment, name="experiment")


def _print_version(wanted: bool) -> None:
    if wanted:
        from nnx import __version__

        typer.echo(f"nnx {__version__}")
        raise typer.Exit


@app.callback()
@examples("nnx demo", "nnx train mnist --optimizer adam --save mnist.h5", "nnx predict mnist.h5 picture.png")
def _nnx(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Write a neural network once; run it on NumPy, Numba or a CUDA GPU; see that all three agree."""
    del version


def main() -> None:
    """Run the command line."""
    app(prog_name="nnx")
