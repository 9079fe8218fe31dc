"""The tables of cases, one file per family of kernels."""

from nnx.conformance.case import Case
from nnx.conformance.cases import activations, dropout, indexing, linear, losses, normalization, updates

CASES: tuple[Case, ...] = tuple(
    case
    for family in (linear, activations, normalization, dropout, losses, indexing, updates)
    for case in family.CASES
)

__all__ = ["CASES"]
