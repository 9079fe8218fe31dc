"""`nnx diff`: the same training on two engines, kernel by kernel."""

from __future__ import annotations

from dataclasses import asdict
from math import isfinite
from pathlib import Path
from typing import Annotated, Any

import typer

from nnx import datasets, registry
from nnx.cli.completion import names_from
from nnx.cli.options import Json, examples
from nnx.cli.output import check_writable, print_json, print_table, say
from nnx.cli.predict import ModelPath
from nnx.cli.usage import count, number
from nnx.datasets.catalogue import images
from nnx.difference import Difference, Part
from nnx.difference import diff as compare
from nnx.errors import OptionError
from nnx.model import Sequential
from nnx.plots.differences import HEADINGS, NUMBERS, rows
from nnx.plots.drawing import check_picture
from nnx.serialization import load

First = Annotated[
    str,
    typer.Argument(
        metavar="BACKEND", help="The first engine; see nnx backends.", autocompletion=names_from(registry.names)
    ),
]
Second = Annotated[
    str, typer.Argument(metavar="BACKEND", help="The second engine.", autocompletion=names_from(registry.names))
]
DatasetName = Annotated[
    str | None,
    typer.Option(
        "--dataset",
        metavar="NAME",
        help="What to train on; by default what the model was trained on.",
        autocompletion=names_from(lambda: datasets.names("images")),
    ),
]
Steps = Annotated[
    int, typer.Option("--steps", parser=count("--steps"), metavar="N", help="How many training steps.")
]
BatchSize = Annotated[
    int, typer.Option("--batch-size", parser=count("--batch-size"), metavar="N", help="Examples per step.")
]
Tolerance = Annotated[
    float,
    typer.Option(
        "--tolerance", parser=number("--tolerance", 0), metavar="ULPS", help="From where on results have parted."
    ),
]
Plot = Annotated[
    Path | None, typer.Option("--plot", metavar="PATH", help="Also draw the differences: PNG, SVG or PDF.")
]


@examples(
    "nnx diff runs/demo/digits.h5 numpy numba",
    "nnx diff mnist.h5 numpy cupy --steps 10 --plot difference.png",
)
def diff(
    model: ModelPath,
    first: First,
    second: Second,
    dataset: DatasetName = None,
    steps: Steps = 1,
    batch_size: BatchSize = 32,
    tolerance: Tolerance = 1000.0,
    plot: Plot = None,
    json: Json = False,
) -> None:
    """Train a saved model on two engines from the same weights, and show where their results part.

    Differences are in units of the last place (ulps) of each array's largest value. The exit code is 1 if a result
    differs by more than the tolerance.
    """
    if plot is not None:
        check_picture(plot, "--plot")
    check_writable("--plot", plot)
    network = load(model)
    found = compare(
        network, _examples(network, dataset), first, second, steps=steps, batch_size=batch_size, tolerance=tolerance
    )
    if plot is not None:
        found.plot(plot)
    if json:
        print_json(_describe(found))
    else:
        _show(found, plot)
    if found.first is not None:
        raise typer.Exit(1)


def _examples(model: Sequential, name: str | None) -> tuple[Any, Any]:
    known = name or model.metadata.get("dataset")
    if not isinstance(known, str):
        raise OptionError("--dataset must name the data to train on, since the model's file does not say.")
    return datasets.load(images(known.replace("-", "_")).name).train


def _describe(found: Difference) -> dict[str, Any]:
    def plain(part: Part) -> dict[str, Any]:
        return {**asdict(part), "ulps": part.ulps if isfinite(part.ulps) else None}

    return {
        "engines": found.engines,
        "tolerance": found.tolerance,
        "first": None if found.first is None else plain(found.first),
        "worst": [plain(part) for part in found.worst()],
    }


def _show(found: Difference, plot: Path | None) -> None:
    print_table(HEADINGS, rows(found), NUMBERS)
    say(f"\n{repr(found)[1:-1]}; kernels that agree exactly are left out.")
    if plot is not None:
        say(f"Picture: {plot}")
