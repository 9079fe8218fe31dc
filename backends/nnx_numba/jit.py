"""What compiled functions are made of: `device` for helpers, `intrinsic` for LLVM instructions."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar

import numba
from numba import extending

from nnx_numba.internals import lock

Function = TypeVar("Function", bound=Callable[..., Any])

FLAGS: dict[str, Any] = {
    "nogil": True,
    "error_model": "numpy",  # a division that may raise cannot be vectorised
    "fastmath": {"contract", "nsz", "arcp"},  # what keeps NaN, infinities and the order of operations
    "boundscheck": False,
}


if hasattr(os, "register_at_fork"):  # Windows cannot fork
    # a process that is forked while another thread compiles would wait for ever to compile something itself
    os.register_at_fork(before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release)


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
