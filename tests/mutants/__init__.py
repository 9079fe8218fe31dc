"""Backends with one wrong kernel each, for the conformance kit to catch."""

from mutants import activations, dropout, indexing, linear, losses, normalization, updates
from mutants.table import MUTANTS, mutated

__all__ = [
    "MUTANTS",
    "activations",
    "dropout",
    "indexing",
    "linear",
    "losses",
    "mutated",
    "normalization",
    "updates",
]
