"""Calling one kernel on host arrays, for the checks that are not made of a table of cases."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnx.conformance.case import Arguments, InPlace, Input, Output
from nnx.conformance.stage import Stage
from nnx.conformance.tolerance import Values
from nnx.interface import Backend


def call(backend: Backend, kernel: str, dtype: str = "float64", /, **arguments: Any) -> dict[str, Values]:
    """Call a kernel, arguments by name in the interface's order, and return its destinations on the host.

    A host array becomes an input: of `dtype` if it is floating, of its own dtype otherwise.
    """
    return Stage(backend, kernel, {n: _argument(a) for n, a in arguments.items()}, dtype).call()


def _argument(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return Input(value, None if value.dtype.kind == "f" else str(value.dtype))
    return value


__all__ = ["Arguments", "InPlace", "Input", "Output", "call"]
