"""`nnx train`: a fully connected network on one of the data sets, described by options."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from nnx import datasets
from nnx.checks import ACTIVATIONS
from nnx.cli.company import joins_others
from nnx.cli.completion import files_ending, names_from
from nnx.cli.configuration import print_schema, read_configuration, resolve_length
from nnx.cli.options import BackendName, Json, Seed, examples, find_backend
from nnx.cli.output import check_models, check_targets, note, print_json, print_table, say, write_text
from nnx.cli.training import DEFAULT_EPOCHS, Result, Task, parse_batch_size, parse_layers
from nnx.cli.usage import count, number
from nnx.cli.values import Ending, OneOf, Size, Units
from nnx.datasets.catalogue import images
from nnx.errors import OptionError
from nnx.history import History
from nnx.initializers import INITIALIZERS
from nnx.interrupts import before_training
from nnx.learning_curve import Curve, draw_learning_curves
from nnx.network import DTYPES
from nnx.optimizers import OPTIMIZERS


def _option(name: str, panel: str, text: str, metavar: str | None = None, **limits: Any) -> Any:
    return typer.Option(f"--{name}", rich_help_panel=panel, help=text, metavar=metavar, **limits)


def _choice(name: str, panel: str, text: str, names: Iterable[str]) -> Any:
    value = OneOf(names)
    listed = f"{text}One of {', '.join(value.names)}."
    return _option(name, panel, listed, "NAME", parser=value, autocompletion=value.complete)


NAMES = ", ".join(datasets.names("images"))
RATES = ", ".join(f"{name} {kind().learning_rate:g}" for name, kind in OPTIMIZERS.items())

Name = Annotated[
    str,
    typer.Argument(
        metavar="DATASET", help=f"One of {NAMES}.", autocompletion=names_from(lambda: datasets.names("images"))
    ),
]

Layers = Annotated[
    str,
    _option(
        "layers",
        "Network",
        "Units of the hidden layers; an empty text for none. The output is added.",
        "N,N,...",
        parser=Units(),
    ),
]
ActivationName = Annotated[str, _choice("activation", "Network", "", ACTIVATIONS)]
Init = Annotated[str, _choice("init", "Network", "Initial weights. ", INITIALIZERS)]
BatchNormFlag = Annotated[bool, _option("batch-norm", "Network", "Batch normalisation before each activation.")]
DropoutRate = Annotated[
    float,
    _option(
        "dropout", "Network", "Share dropped after each hidden layer.", "RATE", parser=number("--dropout", 0, 1)
    ),
]

OptimizerName = Annotated[str, _choice("optimizer", "Training", "", OPTIMIZERS)]
Rate = Annotated[
    float | None,
    _option(
        "learning-rate",
        "Training",
        f"By default the optimizer's own: {RATES}.",
        "RATE",
        parser=number("--learning-rate", 0),
    ),
]
L2 = Annotated[
    float,
    _option("l2", "Training", "Lambda of the penalty lambda / (2 m) sum W^2.", "LAMBDA", parser=number("--l2", 0)),
]
BatchSize = Annotated[
    str,
    _option("batch-size", "Training", "Examples per step, or full for all at once.", "N", parser=Size()),
]
Epochs = Annotated[
    int | None,
    _option(
        "epochs",
        "Training",
        f"How often to go through the examples. By default {DEFAULT_EPOCHS}.",
        "N",
        parser=count("--epochs"),
    ),
]
Iterations = Annotated[
    int | None,
    _option(
        "iterations",
        "Training",
        "Training steps instead of epochs, rounded up to whole epochs.",
        "N",
        parser=count("--iterations"),
    ),
]
ValidationSplit = Annotated[
    float,
    _option(
        "validation-split",
        "Training",
        "Share of the training part to set aside and measure.",
        "SHARE",
        parser=number("--validation-split", 0, 1),
    ),
]
Patience = Annotated[
    int | None,
    _option(
        "patience",
        "Training",
        "End when the validation loss was not better for N epochs, with the best weights.",
        "N",
        parser=count("--patience"),
    ),
]
Dtype = Annotated[str, _choice("dtype", "Training", "", DTYPES)]

Save = Annotated[Path | None, _option("save", "Output", "Write the model to this HDF5 file.", "PATH")]
Csv = Annotated[Path | None, _option("csv", "Output", "Write a row of measurements per epoch.", "PATH")]
KeptRun = Annotated[
    Path | None,
    _option(
        "checkpoint",
        "Output",
        "Keep the run in this file; if it is there already, go on from it, with the same options.",
        "PATH",
        autocompletion=files_ending(".h5"),
    ),
]
CurvePath = Annotated[
    Path | None,
    _option("curve", "Output", "Write the learning curve as SVG.", "PATH.svg", parser=Ending(".svg")),
]
Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE.toml",
        callback=read_configuration,
        is_eager=True,
        help="Take options from a TOML file, named as here; those typed win.",
        autocompletion=files_ending(".toml"),
    ),
]
Schema = Annotated[
    bool,
    typer.Option(
        "--schema",
        callback=print_schema,
        is_eager=True,
        help="Print what such a file may hold, as JSON Schema, for editors.",
    ),
]


@examples(
    "nnx train cats --layers 20,7,5 --iterations 2500 --learning-rate 0.0075 --batch-size full",
    "nnx train mnist --layers 20,7,5 --optimizer adam --batch-size 128 --epochs 20 --save mnist.h5",
    "nnx train digits --batch-norm --dropout 0.2 --optimizer adam --validation-split 0.1 --patience 5",
    "nnx train mnist --epochs 200 --checkpoint run.h5  # Ctrl-C, and the same again goes on",
    "mpiexec -n 4 nnx train mnist --batch-size 512  # four processes share every batch",
    "nnx train fashion-mnist --config fashion.toml --backend numba --json",
    "nnx train --schema > schema.json  # '#:schema schema.json' in fashion.toml shows it to the editor",
)
def train(
    context: typer.Context,
    dataset: Name,
    layers: Layers = "64,32",
    activation: ActivationName = "relu",
    init: Init = "he",
    batch_norm: BatchNormFlag = False,
    dropout: DropoutRate = 0.0,
    optimizer: OptimizerName = "sgd",
    learning_rate: Rate = None,
    l2: L2 = 0.0,
    batch_size: BatchSize = "32",
    epochs: Epochs = None,
    iterations: Iterations = None,
    validation_split: ValidationSplit = 0.0,
    patience: Patience = None,
    dtype: Dtype = "float32",
    save: Save = None,
    csv: Csv = None,
    curve: CurvePath = None,
    checkpoint: KeptRun = None,
    seed: Seed = 1,
    backend: BackendName = None,
    config: Config = None,
    schema: Schema = False,
    json: Json = False,
) -> None:
    """Train a fully connected network and measure it on the test part.

    The output layer is one sigmoid unit for two classes, else one softmax unit per class. Costs are mean
    cross-entropies on the training part, without the L2 penalty. Several processes that mpiexec starts share every
    batch; only the first of them prints and writes files.
    """
    del config, schema  # read before all other options, which it gives their defaults
    leads = joins_others()
    if curve is not None and curve.suffix != ".svg":
        raise OptionError(f"--curve draws SVG; name a file that ends in .svg, got {str(curve)!r}.")
    check_models({"--save": save, "--checkpoint": checkpoint})
    check_targets({"--save": save, "--csv": csv, "--curve": curve, "--checkpoint": checkpoint})
    task = Task(
        layers=parse_layers(layers),
        activation=activation,
        init=init,
        batch_norm=batch_norm,
        dropout=dropout,
        optimizer=optimizer,
        learning_rate=learning_rate,
        l2=l2,
        batch_size=parse_batch_size(batch_size),
        **resolve_length(context, epochs, iterations),
        validation_split=validation_split,
        patience=patience,
        seed=seed,
        dtype=dtype,
    )
    known = dataset.replace("-", "_")
    model = task.network(len(images(known).classes), find_backend(backend))
    with before_training():
        loaded = datasets.load(known)
    result = task.run(model, loaded, checkpoint)
    if not leads:
        return
    _write(known, result, save, csv, curve)
    _report(known, result, json, {"Model": save, "Measurements": csv, "Learning curve": curve})


def _write(dataset: str, result: Result, save: Path | None, csv: Path | None, curve: Path | None) -> None:
    if save is not None:
        result.model.save(save, {"dataset": dataset, "classes": list(datasets.info(dataset).classes)})
    if csv is not None:
        write_text(csv, _rows(result.history))
    if curve is not None:
        write_text(curve, draw_learning_curves(list(_curves(result.history)), f"Learning curve on {dataset}"))


def _report(dataset: str, result: Result, json: bool, files: dict[str, Path | None]) -> None:
    if result.history.stopped:
        note(f"Ended after {result.history.epochs} epochs: {result.history.stopped}.")
    report = {
        "dataset": dataset,
        "backend": result.model.backend.name,
        "device": result.model.backend.device(),
        "train_accuracy": result.train_accuracy,
        "test_accuracy": result.test_accuracy,
        "cost_before": result.cost_before,
        "cost_after": result.cost_after,
        "epochs": result.history.epochs,
        "iterations": result.iterations,
        "seconds": result.seconds,
    }
    if json:
        print_json(report)
    else:
        cells = ((name.replace("_", " "), _shown(value)) for name, value in report.items())
        print_table(("", f"nnx train {dataset}"), cells)
        for contents, path in files.items():
            if path is not None:
                say(f"{contents}: {path}")


def _shown(value: Any) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def _curves(history: History) -> Iterator[Curve]:
    yield Curve("training", history["loss"])
    if "val_loss" in history:
        yield Curve("validation", history["val_loss"], dashed=True)


def _rows(history: History) -> str:
    """Return the measurements as CSV, one row per epoch."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(["epoch", *history])
    for epoch, measured in enumerate(zip(*history.values(), strict=True), start=1):
        writer.writerow([epoch, *measured])
    return text.getvalue()
