"""Activations: one kernel for all elementwise functions, teams of threads for softmax."""

from __future__ import annotations

import numpy as np

from nnx.interface import Array
from nnx_cupy.kernels import Group, Instance
from nnx_cupy.launch import Launcher

ELEMENTWISE_KERNELS = Group("activations", ("activate", "activate_backward"))
SOFTMAX = Group("activations", ("softmax", "softmax_backward"))
LOG_SOFTMAX = Group("activations", ("log_softmax", "log_softmax_backward"))


def functor(activation: str) -> str:
    """Return the C++ name of an activation: "LeakyRelu" for "leaky_relu"."""
    return "".join(part.capitalize() for part in activation.split("_"))


class Activations(Launcher):
    """Kernels on elements and rows."""

    def activate(self, x: Array, y: Array, activation: str, alpha: float) -> None:
        """One grid-stride pass."""
        kernel = ELEMENTWISE_KERNELS.of("activate", y.dtype, functor(activation))
        self.launch_elements(kernel, self.packs(y), self.contiguous(x), y, np.int64(y.size), y.dtype.type(alpha))

    def activate_backward(self, x: Array, y: Array, dy: Array, dx: Array, activation: str, alpha: float) -> None:
        """One grid-stride pass."""
        kernel = ELEMENTWISE_KERNELS.of("activate_backward", dx.dtype, functor(activation))
        inputs = self.contiguous(x), self.contiguous(y), self.contiguous(dy)
        self.launch_elements(kernel, self.packs(dx), *inputs, dx, np.int64(dx.size), dx.dtype.type(alpha))

    def softmax(self, x: Array, y: Array) -> None:
        """A team of threads per row."""
        self._rows(SOFTMAX.of("softmax", y.dtype), x, y)

    def softmax_backward(self, y: Array, dy: Array, dx: Array) -> None:
        """A team of threads per row."""
        self._rows(SOFTMAX.of("softmax_backward", dx.dtype), y, dy, dx)

    def log_softmax(self, x: Array, y: Array) -> None:
        """A team of threads per row."""
        self._rows(LOG_SOFTMAX.of("log_softmax", y.dtype), x, y)

    def log_softmax_backward(self, y: Array, dy: Array, dx: Array) -> None:
        """A team of threads per row."""
        self._rows(LOG_SOFTMAX.of("log_softmax_backward", dx.dtype), y, dy, dx)

    def _rows(self, kernel: Instance, *arrays: Array) -> None:
        self.launch_rows(kernel, arrays[0].shape, *(self.contiguous(array) for array in arrays))
