"""`nnx example`: the worked examples, by name."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer

from nnx.cli.options import BackendName, Json, Seed, examples, find_backend
from nnx.cli.output import print_json, print_table, say
from nnx.examples import EXAMPLES, Outcome, find

example = typer.Typer(no_args_is_help=True, help="Run worked examples: images, series, text.")

Name = Annotated[str, typer.Argument(metavar="NAME", help=f"One of {', '.join(EXAMPLES)}.")]
Epochs = Annotated[
    int | None,
    typer.Option("--epochs", min=1, metavar="N", help="How often to go through the data, by default as suits it."),
]


@example.command("list")
@examples(
    "nnx example list",
)
def list_examples(json: Json = False) -> None:
    """Show the examples, the data that they need, and how often they go through them."""
    rows = [
        {"name": name, "title": found.title, "dataset": found.dataset, "epochs": found.epochs}
        for name, found in EXAMPLES.items()
    ]
    if json:
        print_json(rows)
    else:
        print_table(
            ("name", "title", "dataset", "epochs"), [list(map(str, row.values())) for row in rows], ("epochs",)
        )


@example.command("run")
@examples(
    "nnx example run mnist-cnn --backend numba",
    "nnx example run airline-lstm --seed 7",
    "nnx example run shakespeare --backend numba --epochs 1 --json",
)
def run_example(
    name: Name, epochs: Epochs = None, seed: Seed = 1, backend: BackendName = None, json: Json = False
) -> None:
    """Build a network, train it, and show what it has learned."""
    engine = find_backend(backend)
    outcome = find(name.replace("_", "-")).run(epochs, seed, engine.name)
    report = {"backend": engine.name, "device": engine.device(), **outcome.figures}
    if json:
        print_json({**asdict(outcome), "figures": report})
    else:
        _show(name, report, outcome)


def _show(name: str, report: dict[str, Any], outcome: Outcome) -> None:
    print_table(("", f"nnx example run {name}"), [(what, _shown(value, 4)) for what, value in report.items()])
    if outcome.table:
        say("")
        headings = list(outcome.table[0])
        rows = [[_shown(cell, 1) for cell in row.values()] for row in outcome.table]
        print_table(headings, rows, headings[1:])
    if outcome.text:
        say("")
        say(outcome.text)


def _shown(value: Any, digits: int) -> str:
    return f"{value:.{digits}f}" if isinstance(value, float) else str(value)
