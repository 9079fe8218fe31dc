"""What compiled functions are made of: `device` for helpers, `intrinsic` for LLVM instructions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numba
from numba import extending

Function = TypeVar("Function", bound=Callable[..., Any])

FLAGS: dict[str, Any] = {
    "nogil": True,
    "error_model": "numpy",  # a division that may raise cannot be vectorised
    "fastmath": {"contract", "nsz", "arcp"},  # what keeps NaN, infinities and the order of operations
    "boundscheck": False,
}


def device(function: Function) -> Function:
    """Make a helper that is inlined into every kernel that calls it, before types are inferred.

    Inlining in LLVM would compile each helper on its own as well, and take half as long again.
    """
    inlined: Function = numba.njit(inline="always", **FLAGS)(function)
    return inlined


def intrinsic(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make a function of types that returns a signature and a code generator callable from compiled code."""
    made: Callable[..., Any] = extending.intrinsic(prefer_literal=True)(function)
    return made
