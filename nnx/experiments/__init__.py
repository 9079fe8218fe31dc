"""The published experiments, by name; `nnx experiment run NAME` runs one and writes a report."""

from __future__ import annotations

from nnx.errors import UnknownNameError
from nnx.experiments import cats, mnist, vectorization
from nnx.experiments.experiment import Experiment, Picture, Quantity, Results, Row, Settings
from nnx.experiments.result import Curve, Result

__all__ = [
    "EXPERIMENTS",
    "Curve",
    "Experiment",
    "Picture",
    "Quantity",
    "Result",
    "Results",
    "Row",
    "Settings",
    "find",
]

EXPERIMENTS: dict[str, Experiment] = {
    experiment.name: experiment for experiment in (*cats.EXPERIMENTS, *mnist.EXPERIMENTS, vectorization.EXPERIMENT)
}
"""Every experiment, by name."""


def find(name: str) -> Experiment:
    """Return an experiment by name; underscores are taken for hyphens.

    Raises:
        UnknownNameError: there is none of that name; the nearest is suggested.
    """
    known = name.replace("_", "-")
    if known not in EXPERIMENTS:
        raise UnknownNameError("experiment", name, EXPERIMENTS)
    return EXPERIMENTS[known]
