"""The array part of the NumPy backend, and all its kernels together."""

from __future__ import annotations

import os
import platform
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from array_api_compat import numpy as array_api_numpy
from numpy.typing import NDArray

from nnx.interface import Array, Backend, Memory, Program, Scratch, Tape, aligned_empty, host_memory
from nnx_numpy.activations import Activations
from nnx_numpy.convolution import Convolution
from nnx_numpy.dropout import Dropout
from nnx_numpy.embedding import Embedding
from nnx_numpy.indexing import Indexing
from nnx_numpy.linear import Linear
from nnx_numpy.losses import Losses
from nnx_numpy.normalization import Normalization
from nnx_numpy.plan import Replay, scratch_of
from nnx_numpy.pooling import Pooling
from nnx_numpy.recurrent import Recurrent
from nnx_numpy.updates import Updates


class NumpyBackend(
    Linear,
    Activations,
    Normalization,
    Dropout,
    Losses,
    Indexing,
    Updates,
    Convolution,
    Pooling,
    Recurrent,
    Embedding,
    Backend,
):
    """NumPy arrays, BLAS products and ufuncs that write into the destination."""

    name = "numpy"
    xp = array_api_numpy
    on_host = True

    def asarray(self, values: NDArray[Any], dtype: str) -> Array:
        """See `Arrays.asarray`."""
        array = self.empty(np.shape(values), dtype)
        array[...] = values
        return array

    def to_numpy(self, array: Array) -> NDArray[Any]:
        """See `Arrays.to_numpy`."""
        return np.array(array, order="C")

    def empty(self, shape: tuple[int, ...], dtype: str) -> Array:
        """See `Arrays.empty`."""
        return aligned_empty(shape, dtype)

    def owns(self, value: object) -> bool:
        """See `Arrays.owns`."""
        return isinstance(value, np.ndarray)

    def device(self) -> str:
        """Name the processor and the BLAS in use, as far as they can be found out."""
        return ", ".join([_processor(), *_blas()])

    def scratch_of(self, tape: Tape) -> Scratch:
        """See `Arrays.scratch_of`."""
        return scratch_of(tape)

    def memory(self) -> Memory:
        """See `Arrays.memory`."""
        return host_memory()

    def set_num_threads(self, count: int) -> None:
        """Limit every BLAS library of this process."""
        import_module("threadpoolctl").threadpool_limits(count, user_api="blas")

    def compile(self, tape: Tape) -> Program:
        """Plan every recorded kernel once; see `nnx_numpy.plan`."""
        return Replay(tape)


@cache
def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:  # not Linux
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return next(filter(None, [*names, platform.processor(), platform.machine()]), "CPU")


def _blas() -> list[str]:
    """Describe the BLAS library that NumPy loaded: ["OpenBLAS SkylakeX", "2 threads"], or nothing."""
    threadpool_info = import_module("threadpoolctl").threadpool_info  # here, for a quick import of the backend
    own = str(Path(np.__file__).parent)
    libraries = [library for library in threadpool_info() if library.get("user_api") == "blas"]
    libraries.sort(key=lambda library: not library.get("filepath", "").startswith(own))  # SciPy has its own copy
    if not libraries:
        return []
    first = libraries[0]
    name = {"openblas": "OpenBLAS", "mkl": "MKL", "blis": "BLIS"}.get(first["internal_api"], first["internal_api"])
    threads = first["num_threads"]
    kernels = f"{name} {first.get('architecture', '')}".rstrip()
    if name == "OpenBLAS" and os.environ.get("OPENBLAS_CORETYPE"):
        kernels += " (forced by OPENBLAS_CORETYPE)"
    return [kernels, f"{threads} thread{'s' if threads != 1 else ''}"]
