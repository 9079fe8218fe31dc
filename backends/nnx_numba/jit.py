"""The decorators that compile: `device` for helpers, `intrinsic` for LLVM instructions, `compiled` for entries."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar

import numba
from numba import extending

from nnx_numba.cache import DiskCache
from nnx_numba.internals import compiling

Function = TypeVar("Function", bound=Callable[..., Any])

FLAGS: dict[str, Any] = {
    "nogil": True,
    "error_model": "numpy",  # a division that may raise cannot be vectorised
    "fastmath": {"contract", "nsz", "arcp"},  # what keeps NaN, infinities and the order of operations
    "boundscheck": False,
}


if hasattr(os, "register_at_fork"):  # Windows cannot fork
    # a process that is forked while another thread compiles would wait for ever to compile something itself
    os.register_at_fork(
        before=compiling.acquire, after_in_parent=compiling.release, after_in_child=compiling.release
    )


def device(function: Function) -> Function:
    """Make a helper that is inlined into every kernel that calls it, before types are inferred.

    Inlining in LLVM would compile each helper on its own as well, and take half as long again.
    """
    inlined: Function = numba.njit(inline="always", **FLAGS)(function)
    return inlined


def inner(function: Function) -> Function:
    """Make a function that only other compiled code calls, without an entry from Python."""
    without: dict[str, Any] = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
    made: Function = numba.njit(**FLAGS, **without)(function)
    return made


def intrinsic(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make a function of types that returns a signature and a code generator callable from compiled code."""
    made: Callable[..., Any] = extending.intrinsic(prefer_literal=True)(function)
    return made


def compiled(function: Callable[..., Any], name: str) -> Any:
    """Compile a function for each signature it is called with, once per machine."""
    dispatcher = numba.njit(**FLAGS)(function)
    dispatcher._cache = DiskCache(name)
    return dispatcher
