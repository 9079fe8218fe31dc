"""`nnx report`: runs, experiments and benchmarks as one HTML page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from nnx.cli.options import Json, examples
from nnx.cli.output import check_writable, note, print_json, say, write_text
from nnx.cli.usage import count
from nnx.errors import FileFormatError, OptionError

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
    typer.Option("--out", metavar="FILE", help="Where the page goes; by default report.html, unless it is served."),
]
Serve = Annotated[
    bool, typer.Option("--serve", help="Show it to browsers of this computer, made anew whenever it is loaded.")
]
Port = Annotated[
    int | None,
    typer.Option(
        "--port", parser=count("--port", 0, 65535), metavar="N", help="Of --serve; 8600 by default, 0 for any."
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
    from nnx.report.finding import find, usual
    from nnx.report.page import make

    if port is not None and not serve:
        raise OptionError("--port belongs to --serve; add it, or leave it out.")
    if json and serve:
        raise OptionError("--json tells what was written, and --serve goes on until it is ended; leave one out.")
    check_writable("--out", out)
    named = list(paths or ())
    page = make(find(named or usual()))
    _refuse(named, page.left_out)
    target = Path("report.html") if out is None and not serve else out
    if target is not None:
        check_writable("--out", target)
        write_text(target, page.html())
    for reason in page.left_out.values():
        note(f"left out: {reason}")
    if json:
        print_json({"file": str(target), "parts": len(page.sections), "left_out": list(page.left_out.values())})
    elif target is not None:
        say(f"Report of {len(page.sections)} file{'' if len(page.sections) == 1 else 's'}: {target}")
    if serve:
        _serve(named, 8600 if port is None else port)


def _refuse(named: Sequence[Path], left_out: Mapping[Path, str]) -> None:
    """Fail if a file that was named, rather than found in a folder, cannot be shown."""
    for path in named:
        if path in left_out:
            raise FileFormatError(left_out[path])


def _serve(named: Sequence[Path], port: int) -> None:
    from nnx.report.finding import find, usual
    from nnx.report.page import make
    from nnx.report.serving import Server

    server = Server(port, lambda: make(find(named or usual())).html())
    say(f"Report: {server.address} (Ctrl-C ends it)")
    server.run()
