"""A small experiment made by hand, whose words are what HTML and Markdown would stumble over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nnx.experiments.experiment import Experiment, Picture, Quantity, Results, Row, Settings
from nnx.experiments.reporting.report import Report, make
from nnx.experiments.result import Result

ACCURACY = Quantity("test accuracy", 0, 100, " %", "high")
COST = Quantity("cost", better="low")
STEPS = Quantity("steps to 0.1", 0)
COMMAND = "nnx experiment run a-or-b --backend numpy --seeds 3 --out 'my runs'"


@dataclass(frozen=True)
class Still(Settings):
    """Never run."""


MEASURED: Mapping[str, Sequence[Mapping[str, float]]] = {
    "a | b": [
        {"test accuracy": 0.7, "cost": 0.06},
        {"test accuracy": 0.72, "cost": 0.061},
        {"test accuracy": 0.66},
    ],
    "<i>_c_</i> & d": [
        {"cost": float("nan"), "steps to 0.1": 90},
        {"cost": float("nan"), "steps to 0.1": 110},
        {"cost": float("nan"), "steps to 0.1": float("inf")},
    ],
}

PROVENANCE: dict[str, Any] = {
    "command": COMMAND,
    "shortened": False,
    "backend": "numpy",
    "devices": {"numpy": "CPU"},
    "seeds": 3,
    "jobs": "2",
    "threads per job": "1 to 2",
    "made": "2026-01-02 03:04 to 05:06 UTC",
    "processor": "Test <CPU>",
    "cores": 2,
    "memory": 16 * 2**30,
    "system": "Linux, x86_64",
    "python": "3.11.7",
    "versions": {"nnx": "0.1.0", "numpy": "2.4.6"},
}


def results() -> Results:
    """Return what three seeds measured of two rows."""
    return {row: [Result(dict(figures)) for figures in runs] for row, runs in MEASURED.items()}


def experiment(**changes: Any) -> Experiment:
    """Return the experiment, without pictures unless some are given."""
    usual: dict[str, Any] = {
        "name": "a-or-b",
        "title": "A < B?",
        "question": "1. Is a_b *less*\nthan <b>?",
        "dataset": None,
        "settings": {"inputs": "[0, 1] | 64x64", "loss": "<cross-entropy>"},
        "rows": (
            Row("a | b", Still(), {"test accuracy": 0.72, "cost": 0.05}),
            Row("<i>_c_</i> & d", Still(), {"cost": 0.05, "steps to 0.1": 80}),
            Row("never run", Still(), {"cost": 0.05}),
        ),
        "quantities": (ACCURACY, COST, STEPS),
        "source": 'A course\'s "report" & https://example.org/some_page_here',
        "pictures": lambda _: (),
        "notes": lambda found: [f"{len(found)} rows, a < b."],
    }
    return Experiment(**{**usual, **changes})


def pictures(_: Results) -> list[Picture]:
    """Draw two small pictures; matplotlib is needed."""
    from matplotlib.figure import Figure

    names = ("first-picture", "second-picture")
    return [Picture(name, "Cost <now>", f'The "{name}": a | b.', Figure(figsize=(2, 1))) for name in names]


def sample(**changes: Any) -> Report:
    """Return its report."""
    return make(experiment(**changes), results(), PROVENANCE)
