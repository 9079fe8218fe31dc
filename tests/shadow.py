"""The shadow of the CuPy backend: NumPy arrays, and its CUDA kernels compiled for and run on the CPU.

It is `CupyBackend` itself with another array namespace, module loader and runtime, so that everything but
CUDA is put to the test where there is no GPU.
"""

from __future__ import annotations

import functools
import os
import threading
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
from hostcuda import HostModule
from numpy.typing import NDArray

from nnx.interface import Array, Memory
from nnx_cupy import CupyBackend, OwnProducts, Products
from nnx_cupy.kernels import Kernel, ModuleLoader


class HostGraph:
    """Launches with the arguments they had when they were captured.

    Attributes:
        launches: (kernel, grid, block, arguments) of each.
        kept: arrays whose addresses it has: what a private memory pool is for a graph of CUDA.
    """

    def __init__(self, runtime: HostRuntime) -> None:
        self._runtime = runtime
        self.launches: list[Any] = []
        self.kept: list[Array] = []

    def launch(self) -> None:
        self._runtime.runs += 1
        for kernel, *arguments in self.launches:
            kernel(*arguments)


class DeviceFullError(RuntimeError):
    """As CUDA says it where a graph finds no room: no MemoryError."""


class HostRuntime:
    """The CPU in the place of a CUDA device; captures the launches of kernels that it has wrapped.

    Attributes:
        graphs: all graphs that somebody still has.
        runs: how often graphs were launched.
        free: the bytes of memory that this device claims to have left.
    """

    def __init__(self) -> None:
        self._thread = threading.local()
        self.free = 1 << 40
        self.graphs: weakref.WeakSet[HostGraph] = weakref.WeakSet()
        self.runs = 0

    def wrapped(self, load: ModuleLoader) -> ModuleLoader:
        return functools.partial(_CapturableModule, self, load)

    @property
    def capturing(self) -> bool:
        return getattr(self._thread, "captured", None) is not None

    def launch(self, kernel: Callable[..., None], *arguments: Any) -> None:
        if self.capturing:
            self._thread.captured.launches.append((kernel, *arguments))
        else:
            kernel(*arguments)

    def capture(self, work: Callable[[], None]) -> HostGraph:
        self._thread.captured = graph = HostGraph(self)
        try:
            work()
        finally:
            self._thread.captured = None
        self.graphs.add(graph)
        return graph

    def place(self) -> tuple[int, int]:
        return 0, 0

    def address(self, array: Array) -> int:
        if self.capturing:
            self._thread.captured.kept.append(array)
        return int(array.ctypes.data)

    def to_numpy(self, array: Array) -> NDArray[Any]:
        return np.array(array)

    def synchronize(self) -> None:
        pass

    def describe(self) -> str:
        return f"CPU in the place of a GPU ({os.cpu_count()} cores)"

    def memory(self) -> Memory:
        return Memory(self.free, self.free)

    def ran_out(self, error: BaseException) -> bool:
        return isinstance(error, DeviceFullError)


class _CapturableModule:
    """A module whose kernels are launched by way of a runtime."""

    def __init__(self, runtime: HostRuntime, load: ModuleLoader, **source: Any) -> None:
        self._runtime, self._module = runtime, load(**source)

    def get_function(self, name: str) -> Kernel:
        return functools.partial(self._runtime.launch, self._module.get_function(name))


class ShadowBackend(CupyBackend):
    """`CupyBackend` on the CPU; `seed` chooses the order in which CUDA threads run.

    Its grids are small and its long rows short, so that small arrays bring every loop and sum into play.
    """

    on_host = True  # its arrays are NumPy's

    name = "cupy-shadow"
    most_blocks = 3
    long_row = 200
    wide_matrix = 1000
    busy = 6
    few_sequences = 3

    def __init__(self, seed: int = 0, module: ModuleLoader | None = None, products: Products | None = None) -> None:
        self.host = HostRuntime()
        load = self.host.wrapped(module or functools.partial(HostModule, seed=seed))
        super().__init__(np, load, self.host, products or OwnProducts(self.busy))
