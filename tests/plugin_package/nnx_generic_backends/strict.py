"""The reference on array-api-strict, which has what the array API standard has and nothing else."""

from __future__ import annotations

import array_api_strict

from nnx import Backend


def backend() -> Backend:
    """Return the backend `strict`: a namespace is all it takes."""
    return Backend.from_namespace(array_api_strict, name="strict")
