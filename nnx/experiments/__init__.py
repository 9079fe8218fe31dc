"""The published experiments, by name; `nnx experiment run NAME` runs one and writes a report."""

from __future__ import annotations

from nnx.errors import UnknownNameError
from nnx.experiments import (
    cats_activation,
    cats_architecture,
    cats_dogs_logistic,
    cats_initialization,
    cats_optimization,
    cats_regularization,
    mnist_baseline,
    mnist_batchnorm,
    mnist_initialization,
    mnist_l2,
    mnist_weights,
    vectorization,
)
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

_MODULES = (
    cats_initialization,
    cats_activation,
    cats_architecture,
    cats_regularization,
    cats_optimization,
    cats_dogs_logistic,
    mnist_baseline,
    mnist_batchnorm,
    mnist_l2,
    mnist_initialization,
    mnist_weights,
    vectorization,
)

EXPERIMENTS: dict[str, Experiment] = {module.EXPERIMENT.name: module.EXPERIMENT for module in _MODULES}
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
