"""Backends with one wrong kernel each, for the conformance kit to catch."""

from mutants import (
    activations,
    convolution,
    dropout,
    embedding,
    gru,
    indexing,
    linear,
    losses,
    lstm,
    normalization,
    pooling,
    recurrent,
    simple_rnn,
    updates,
)
from mutants.table import MUTANTS, mutated

__all__ = [
    "MUTANTS",
    "activations",
    "convolution",
    "dropout",
    "embedding",
    "gru",
    "indexing",
    "linear",
    "losses",
    "lstm",
    "mutated",
    "normalization",
    "pooling",
    "recurrent",
    "simple_rnn",
    "updates",
]
