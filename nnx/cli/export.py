"""`nnx export`: saved models as ONNX files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nnx.cli.options import Json, examples
from nnx.cli.output import print_json, say
from nnx.cli.predict import ModelPath
from nnx.serialization import load

OutPath = Annotated[
    Path, typer.Argument(metavar="OUT", help="The ONNX file to write; an existing one is replaced.")
]
Lengths = Annotated[bool, typer.Option("--lengths", help="Add an input for the lengths of padded sequences.")]


@examples(
    "nnx export runs/demo/digits.h5 digits.onnx",
    "nnx export sentences.h5 sentences.onnx --lengths",
)
def export(model: ModelPath, out: OutPath, lengths: Lengths = False, json: Json = False) -> None:
    """Write what a saved model predicts to an ONNX file, for other programs.

    The input is called x and the output y; as in nnx, images have channels last and a classifier gives logits.
    """
    load(model, "numpy").export_onnx(out, lengths=lengths)
    if json:
        print_json({"file": str(out), "bytes": out.stat().st_size})
    else:
        say(f"wrote {out}, {out.stat().st_size:,} bytes")
