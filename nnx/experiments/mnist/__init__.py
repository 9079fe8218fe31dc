"""Experiments on handwritten digits."""

from nnx.experiments.mnist import baseline, batchnorm, initialization, l2, weights

EXPERIMENTS = (
    baseline.EXPERIMENT,
    batchnorm.EXPERIMENT,
    l2.EXPERIMENT,
    initialization.EXPERIMENT,
    weights.EXPERIMENT,
)
"""All of them; the first is what the others change."""
