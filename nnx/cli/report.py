"""`nnx report`: runs, experiments and benchmarks as one HTML page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nnx.cli.options import Json, examples
from nnx.cli.output import check_writable, note, print_json, say, write_text
from nnx.cli.usage import count
from nnx.errors import FileFormatError, OptionError

if TYPE_CHECKING:
    from nnx.report.page import Page

DEFAULT = Path("nnx-report.html")
"""Where the page goes if nobody says: beside an experiment's files stands a report.html, which is its own."""

DEFAULT_PORT = 8600

Paths = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="PATHS...",
        help="Models and checkpoints (.h5), folders or report.json of experiments, results of nnx bench, or "
        "folders of these; by default runs, and the stored results of benchmarks in a source checkout.",
    ),
]
Out = Annotated[
    Path | None,
    typer.Option("--out", metavar="FILE", help=f"Where the page goes; by default {DEFAULT}, unless it is served."),
]
Serve = Annotated[
    bool, typer.Option("--serve", help="Show it to browsers of this computer, made anew whenever it is loaded.")
]
Port = Annotated[
    int | None,
    typer.Option(
        "--port",
        parser=count("--port", 0, 65535),
        metavar="N",
        help=f"Of --serve; {DEFAULT_PORT} by default, 0 for any.",
    ),
]


@examples(
    "nnx report",
    "nnx report run.h5 runs/mnist-baseline --out mnist.html",
    "nnx report benchmarks/results/cpu.json --out bench.html",
    "nnx report --serve",
)
def report(
    paths: Paths = None, out: Out = None, serve: Serve = False, port: Port = None, json: Json = False
) -> None:
    """Show networks, options, learning curves and figures of runs, and what experiments and benchmarks came to.

    The page is one file that needs nothing else: no network, no script. Nothing in the files that it is made of is
    run as code. Of a saved model it shows the network; checkpoints hold the learning curves too.
    """
    _check_together(serve, port, json)
    target = DEFAULT if out is None and not serve else out
    check_writable("--out", target)
    named = list(paths or ())
    page = _page(named)
    _refuse(named, page.left_out)
    if target is not None:
        write_text(target, page.html())
    _tell(page, target, json)
    if serve:
        _serve(named, DEFAULT_PORT if port is None else port)


def _check_together(serve: bool, port: int | None, json: bool) -> None:
    if port is not None and not serve:
        raise OptionError("--port belongs to --serve; add it, or leave it out.")
    if json and serve:
        raise OptionError("--json tells what was written, and --serve goes on until it is ended; leave one out.")


def _page(named: Sequence[Path]) -> Page:
    from nnx.report.finding import find, usual
    from nnx.report.page import make

    return make(find(named or usual()))


def _refuse(named: Sequence[Path], left_out: Mapping[Path, str]) -> None:
    """Fail if a file that was named, rather than found in a folder, cannot be shown."""
    for path in named:
        if path in left_out:
            raise FileFormatError(f"{path}: {left_out[path]}")


def _tell(page: Page, target: Path | None, json: bool) -> None:
    """Say what was written, and what is not in it."""
    reasons = [f"{path}: {reason}" for path, reason in page.left_out.items()]
    for reason in reasons:
        note(f"left out: {reason}")
    if json:
        print_json({"file": str(target), "parts": len(page.sections), "left_out": reasons})
    elif target is not None:
        say(f"Report of {len(page.sections)} file{'' if len(page.sections) == 1 else 's'}: {target}")


def _serve(named: Sequence[Path], port: int) -> None:
    from nnx.report.serving import Server

    server = Server(port, lambda: _page(named).html())
    say(f"Report: {server.address} (Ctrl-C ends it)")
    server.run()
