"""Kernels of users' own: called one at a time where Numba's threads would end the process otherwise.

Of the threading layers that Numba has for functions of `parallel=True`, "workqueue" aborts the whole process when
two threads run such functions at once, as two calls of `fit` in two threads do. The kernels of nnx use no layer.
"""

from __future__ import annotations

import sys
import threading
from typing import Any

from nnx.interface import hold_across_forks
from nnx.tape import Kernel

_turn = threading.RLock()
hold_across_forks(_turn)


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
        if workqueue_may_serve():
            with _turn:
                self.kernel(*arguments)
        else:
            self.kernel(*arguments)


def workqueue_may_serve() -> bool:
    """Tell whether functions of Numba with `parallel=True` run on "workqueue", or will as far as anyone can tell.

    Numba chooses a layer when it compiles the first such function, by what is installed and by settings of its own.
    """
    numba: Any = sys.modules.get("numba")
    if numba is None:
        return False
    try:
        return bool(numba.threading_layer() == "workqueue")
    except (AttributeError, ValueError):  # another thread is importing it, or no layer has been chosen yet
        return True
