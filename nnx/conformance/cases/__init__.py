"""The tables of cases, one file per family of kernels."""

from nnx.conformance.case import Case
from nnx.conformance.cases import (
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

_FAMILIES = (
    *(linear, activations, convolution, pooling, normalization, dropout, recurrent, embedding, losses, indexing),
    updates,
)

CASES: tuple[Case, ...] = tuple(case for family in _FAMILIES for case in family.CASES)

__all__ = ["CASES"]
