"""Backends with one wrong kernel each, for the conformance kit to catch."""

from mutants import (
    activations,
    convolution,
    dropout,
    embedding,
    indexing,
    linear,
    losses,
    normalization,
    pooling,
    recurrent,
    updates,
)
from mutants.table import MUTANTS, mutated

__all__ = [
    "MUTANTS",
    "activations",
    "convolution",
    "dropout",
    "embedding",
    "indexing",
    "linear",
    "losses",
    "mutated",
    "normalization",
    "pooling",
    "recurrent",
    "updates",
]
