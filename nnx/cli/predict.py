"""`nnx predict`: what a saved model sees in pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from nnx.cli.completion import files_ending
from nnx.cli.images import read_image
from nnx.cli.options import BackendName, Json, examples, find_backend
from nnx.cli.output import note, print_json, print_table
from nnx.errors import FileFormatError
from nnx.model import Sequential
from nnx.serialization import load

ModelPath = Annotated[
    Path,
    typer.Argument(
        metavar="MODEL", help="A file written by --save or by nnx demo.", autocompletion=files_ending(".h5")
    ),
]
ImagePaths = Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="Pictures.")]
Invert = Annotated[bool, typer.Option("--invert", help="Exchange dark and bright first.")]


@examples(
    "nnx predict runs/demo/digits.h5 seven.png --invert",
    "nnx predict cats.h5 holiday/*.jpg --json",
)
def predict(
    model: ModelPath, images: ImagePaths, invert: Invert = False, backend: BackendName = None, json: Json = False
) -> None:
    """Show the most likely class of each picture, and its probability.

    Pictures are stretched to the size that the model takes and converted to grey or colour. Models of
    digits were trained on bright strokes on a dark ground: give --invert for ink on paper.
    """
    network = load(model, find_backend(backend))
    found, failed = [], False
    for path in images:
        try:
            found.append(_predict(network, path, invert))
        except FileFormatError as error:
            note(f"error: {error}")
            failed = True
    if json:
        print_json(found)
    elif found:
        rows = [(item["image"], _name(item), f"{item['probability']:.4f}") for item in found]
        print_table(("image", "class", "probability"), rows, numbers=("probability",))
    if failed:
        raise typer.Exit(1)


def _predict(network: Sequential, path: Path, invert: bool) -> dict[str, Any]:
    x = read_image(path, network.input_shape, invert)
    probabilities = network.predict_proba(x[np.newaxis])[0]
    if probabilities.size == 1:  # one sigmoid unit: the probability of class 1
        probabilities = np.array([1 - probabilities[0], probabilities[0]])
    best = int(probabilities.argmax())
    label = _class_names(network, probabilities.size)
    name = None if label is None else label[best]
    return {"image": str(path), "class": best, "name": name, "probability": float(probabilities[best])}


def _class_names(network: Sequential, classes: int) -> list[str] | None:
    """Return the names kept with the model, which may be anything in a file of unknown origin."""
    names = network.metadata.get("classes")
    if not isinstance(names, list) or len(names) != classes:
        return None
    return [str(name) for name in names]


def _name(item: dict[str, Any]) -> str:
    return str(item["class"] if item["name"] is None else item["name"])
