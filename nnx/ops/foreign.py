"""Kernels of users' own: called one at a time where Numba's threads would end the process otherwise.

Of the threading layers that Numba has for functions of `parallel=True`, "workqueue" aborts the whole process when
two threads run such functions at once, as two calls of `fit` in two threads do. The kernels of nnx use no layer.
"""

from __future__ import annotations

import importlib
import os
import sys
import threading
from functools import cache
from typing import Any

from nnx.tape import Kernel

_turn = threading.RLock()


def _forget_turn() -> None:
    """A forked process has none of the threads that may have been at it."""
    global _turn
    _turn = threading.RLock()


if hasattr(os, "register_at_fork"):  # Windows cannot fork
    os.register_at_fork(after_in_child=_forget_turn)


class ForeignKernel:
    """A kernel that belongs to no backend, such as a function compiled by Numba.

    Attributes:
        kernel: the function.
    """

    def __init__(self, kernel: Kernel) -> None:
        """Take the function."""
        self.kernel, self.__name__ = kernel, getattr(kernel, "__name__", type(kernel).__name__)

    def __call__(self, *arguments: Any) -> None:
        """Call the function, after those of other threads if need be."""
        if workqueue_serves():
            with _turn:
                self.kernel(*arguments)
        else:
            self.kernel(*arguments)


def workqueue_serves() -> bool:
    """Tell whether functions of Numba with `parallel=True` run on "workqueue", or may do so when first called."""
    numba: Any = sys.modules.get("numba")
    if numba is None:
        return False
    try:
        return bool(numba.threading_layer() == "workqueue")
    except ValueError:  # none has been called yet, so that the layer has not been chosen
        return bool(numba.config.THREADING_LAYER == "workqueue" or not _openmp_is_there())


@cache
def _openmp_is_there() -> bool:
    """Tell whether Numba can choose OpenMP; it takes "workqueue" where it can choose nothing better."""
    try:
        importlib.import_module("numba.np.ufunc.omppool")
    except ImportError:
        return False
    return True
