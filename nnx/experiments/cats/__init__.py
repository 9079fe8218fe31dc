"""Experiments on photographs: the cats of the course, and cats and dogs."""

from nnx.experiments.cats import (
    activation,
    architecture,
    dogs_logistic,
    initialization,
    optimization,
    regularization,
)

EXPERIMENTS = (
    initialization.EXPERIMENT,
    activation.EXPERIMENT,
    architecture.EXPERIMENT,
    regularization.EXPERIMENT,
    optimization.EXPERIMENT,
    dogs_logistic.EXPERIMENT,
)
"""All of them, from the simplest on."""
