"""The shadow of the CuPy backend: NumPy arrays, and its CUDA kernels compiled for and run on the CPU.

It is `CupyBackend` itself with another array namespace, module loader and runtime, so that everything but
CUDA is put to the test where there is no GPU.
"""

from __future__ import annotations

import functools
import os
from typing import Any

import numpy as np
from hostcuda import HostModule
from numpy.typing import NDArray

from nnx.interface import Array, Memory, host_memory
from nnx_cupy import CupyBackend
from nnx_cupy.kernels import ModuleLoader


class HostRuntime:
    """The CPU in the place of a CUDA device."""

    def place(self) -> tuple[int, int]:
        return 0, 0

    def to_numpy(self, array: Array) -> NDArray[Any]:
        return np.array(array)

    def synchronize(self) -> None:
        pass

    def describe(self) -> str:
        return f"CPU in the place of a GPU ({os.cpu_count()} cores)"

    def memory(self) -> Memory:
        return host_memory()


class ShadowBackend(CupyBackend):
    """`CupyBackend` on the CPU; `seed` chooses the order in which CUDA threads run.

    Its grids are small and its long rows short, so that small arrays bring every loop and sum into play.
    """

    name = "cupy-shadow"
    most_blocks = 3
    long_row = 200

    def __init__(self, seed: int = 0, module: ModuleLoader | None = None) -> None:
        super().__init__(np, module or functools.partial(HostModule, seed=seed), HostRuntime())
