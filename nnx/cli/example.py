"""`nnx example`: the worked examples, by name."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from nnx import datasets
from nnx.cli.completion import names_from
from nnx.cli.options import BackendName, Json, Seed, examples, find_backend
from nnx.cli.output import check_models, check_writable, paragraph, print_json, print_table, say
from nnx.cli.usage import Command, count
from nnx.examples import EXAMPLES, Outcome, find
from nnx.summary import HEADINGS, layer_rows

example = typer.Typer(no_args_is_help=True, add_completion=False)


@example.callback()
@examples("nnx example list", "nnx example run mnist-cnn --backend numba")
def _example() -> None:
    """Run worked examples: images, series, text."""


MACHINE = "two cores of an AMD EPYC (Zen 5)"

Name = Annotated[
    str,
    typer.Argument(
        metavar="NAME", help=f"One of {', '.join(EXAMPLES)}.", autocompletion=names_from(lambda: EXAMPLES)
    ),
]
Epochs = Annotated[
    int | None,
    typer.Option(
        "--epochs",
        parser=count("--epochs"),
        metavar="N",
        help="How often to go through the data, by default as suits it.",
    ),
]
Save = Annotated[Path | None, typer.Option("--save", metavar="PATH", help="Write the model to this HDF5 file.")]


@example.command("list", cls=Command)
@examples(
    "nnx example list",
)
def list_examples(json: Json = False) -> None:
    """Show the examples, the data that they need, how often they go through them, and how long that takes."""
    rows = [
        {
            "name": name,
            "title": found.title,
            "dataset": found.dataset,
            "epochs": found.epochs,
            "seconds": found.seconds,
            "source": found.source,
        }
        for name, found in EXAMPLES.items()
    ]
    if json:
        print_json(rows)
        return
    headings = ("name", "title", "dataset", "epochs", "seconds")
    print_table(headings, [[str(row[heading]) for heading in headings] for row in rows], headings[3:])
    paragraph(
        f"Seconds: about, with --backend numba, on {MACHINE}; "
        "with numpy, shakespeare takes two or three times as long."
    )


@example.command("run", cls=Command)
@examples(
    "nnx example run mnist-cnn --backend numba --save mnist.h5",
    "nnx example run airline-lstm --seed 7",
    "nnx example run shakespeare --backend numba --epochs 1 --json",
)
def run_example(
    name: Name,
    epochs: Epochs = None,
    seed: Seed = 1,
    backend: BackendName = None,
    save: Save = None,
    json: Json = False,
) -> None:
    """Build a network, train it, and show what it has learned."""
    check_models({"--save": save})
    check_writable("--save", save)
    engine, known = find_backend(backend), name.replace("_", "-")
    found = find(known)
    outcome = found.run(epochs, seed, engine.name)
    if save is not None:
        classes = list(datasets.info(found.dataset).classes)
        outcome.model.save(save, {"dataset": found.dataset, "classes": classes})
    report = {"backend": engine.name, "device": engine.device(), **outcome.figures}
    if json:
        print_json({"figures": report, "notes": outcome.notes, "tables": outcome.tables, "text": outcome.text})
        return
    _show(known, report, outcome)
    if save is not None:
        say(f"Model: {save}")
    say(f"Source: {found.source}")


def _show(name: str, report: dict[str, Any], outcome: Outcome) -> None:
    print_table(HEADINGS, layer_rows(outcome.model), HEADINGS[2:])
    say("")
    print_table(("", f"nnx example run {name}"), [(what, _shown(value, 4)) for what, value in report.items()])
    say("")
    for sentences in outcome.notes:
        paragraph(sentences)
    for title, rows in outcome.tables.items():
        say(f"\n{title}")
        headings = list(rows[0])
        print_table(headings, [[_shown(cell, 1) for cell in row.values()] for row in rows], headings[1:])
    if outcome.text:
        say(outcome.text)
    if outcome.notes or outcome.tables or outcome.text:
        say("")


def _shown(value: Any, digits: int) -> str:
    return f"{value:.{digits}f}" if isinstance(value, float) else str(value)
