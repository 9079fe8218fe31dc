"""`nnx demo`: the same training on every backend that is here, and how well the results agree."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from nnx import Activation, Adam, BatchNorm, Dense, Dropout, Flatten, History, Sequential, datasets
from nnx.cli.options import Json, Seed, examples
from nnx.cli.output import make_folder, note, paragraph, print_json, print_table, say, write_text
from nnx.cli.usage import count
from nnx.datasets import Dataset
from nnx.layers import Layer
from nnx.learning_curve import Curve, draw_learning_curves
from nnx.registry import BackendInfo, available_backends

HIDDEN = (256, 128)

Out = Annotated[
    Path, typer.Option("--out", metavar="DIR", help="Folder for the picture and the model; made if needed.")
]
Epochs = Annotated[
    int,
    typer.Option("--epochs", parser=count("--epochs"), metavar="N", help="How often to go through the examples."),
]


@dataclass(frozen=True)
class Outcome:
    """What training on one backend came to."""

    name: str
    device: str
    model: Sequential
    history: History
    test_accuracy: float

    @property
    def seconds_per_epoch(self) -> float:
        """The median, without the first epoch, in which kernels may be compiled."""
        seconds = self.history["seconds"]
        return statistics.median(seconds[1:] or seconds)

    def difference(self, other: Outcome) -> float:
        """Return the largest difference to the weights and statistics of another model."""
        theirs = other.model.get_weights()
        return max(
            float(np.max(np.abs(values - theirs[name]))) for name, values in self.model.get_weights().items()
        )


@examples(
    "nnx demo",
    "nnx demo --json --epochs 20 --seed 7 --out runs/seven",
)
def demo(json: Json = False, out: Out = Path("runs/demo"), epochs: Epochs = 60, seed: Seed = 1) -> None:
    """Train a classifier of handwritten digits on every backend that is here, and compare the results.

    The network has batch normalisation, dropout and an L2 penalty, and is trained with Adam on 1,437 digits
    that ship with nnx. All backends see the same initial weights, batches and dropout masks. Each weight is
    compared with that of the first backend; seconds per epoch leave out the first epoch, in which kernels
    may be compiled.
    """
    make_folder("--out", out)
    digits, found = datasets.digits(), available_backends()
    outcomes = [_train(info, digits, epochs, seed) for info in found if info.available]
    files = _write(outcomes, digits, out)
    if json:
        print_json(_describe(outcomes))
    else:
        _show(outcomes)
    for info in found:
        if not info.available:
            (note if json else paragraph)(f"{info.name} left out: {info.reason}")
    for contents, path in files.items():
        (note if json else say)(f"{contents}: {path}")


def _train(info: BackendInfo, digits: Dataset, epochs: int, seed: int) -> Outcome:
    note(f"Training on {info.name} ({info.device})")
    model = Sequential(list(_layers()), seed=seed, backend=info.name)
    # With the usual eps of 1e-8, Adam scales gradients that are nothing but rounding errors up to full steps.
    model.compile("softmax_cross_entropy", Adam(0.003, eps=1e-4), l2=0.03)
    history = model.fit(*digits.train, epochs=epochs, batch_size=64, validation_split=0.1)
    return Outcome(info.name, info.device, model, history, model.evaluate(*digits.test)["accuracy"])


def _layers() -> Iterator[Layer]:
    """Yield a network on which rounding errors stay as small as they are.

    No bias before batch normalisation, which would cancel it and leave it a gradient of rounding errors; and no
    kink in the activation: among millions of inputs, some lie so close to it that rounding decides the slope.
    """
    yield Flatten()
    yield Dropout(0.1)
    for units in HIDDEN:
        yield Dense(units, bias=False)
        yield BatchNorm()
        yield Activation("gelu")
        yield Dropout(0.5)
    yield Dense(10)


def _write(outcomes: Sequence[Outcome], digits: Dataset, out: Path) -> dict[str, Path]:
    """Write the picture and the first backend's model; return what is where."""
    picture, model = out / "learning_curves.svg", out / "digits.h5"
    write_text(picture, draw_learning_curves(list(_curves(outcomes)), "Digits: the same training on each backend"))
    outcomes[0].model.save(model, {"dataset": digits.name, "classes": list(digits.classes)})
    return {"Learning curves": picture, f"Model ({outcomes[0].name})": model}


def _curves(outcomes: Sequence[Outcome]) -> Iterator[Curve]:
    for group, outcome in enumerate(outcomes):
        yield Curve(f"{outcome.name}, training", outcome.history["loss"], group)
        yield Curve(f"{outcome.name}, validation", outcome.history["val_loss"], group, dashed=True)


def _describe(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    rows = [
        {
            "name": outcome.name,
            "test_accuracy": outcome.test_accuracy,
            "final_loss": outcome.history["loss"][-1],
            "max_weight_difference": outcome.difference(outcomes[0]),
            "seconds_per_epoch": outcome.seconds_per_epoch,
        }
        for outcome in outcomes
    ]
    return {"dataset": "digits", "backends": rows}


def _show(outcomes: Sequence[Outcome]) -> None:
    numbers = ("test\naccuracy", "final\nloss", "max weight\ndifference", "seconds\nper epoch", "first\nepoch")
    rows = [
        (
            outcome.name,
            f"{outcome.test_accuracy:.4f}",
            f"{outcome.history['loss'][-1]:.4f}",
            f"{outcome.difference(outcomes[0]):.1e}" if outcome is not outcomes[0] else "(first)",
            f"{outcome.seconds_per_epoch:.4f}",
            f"{outcome.history['seconds'][0]:.4f}",
        )
        for outcome in outcomes
    ]
    print_table(("backend", *numbers), rows, numbers)
    for outcome in outcomes:  # below, since a column for the names of devices would be wide
        paragraph(f"{outcome.name}: {outcome.device}")
