"""The backend: NumPy arrays, kernels compiled by Numba."""

from __future__ import annotations

from typing import Any

import array_api_compat.numpy
import numba
import numpy as np
from numpy.typing import NDArray

from nnx.interface import Array, Memory, aligned_empty, host_memory
from nnx_numba.activations import Activations
from nnx_numba.dropout import Dropout
from nnx_numba.indexing import Indexing
from nnx_numba.internals import threading_layer
from nnx_numba.linear import Linear
from nnx_numba.losses import Losses
from nnx_numba.normalization import Normalization
from nnx_numba.updates import Updates


class NumbaBackend(Linear, Activations, Normalization, Dropout, Losses, Indexing, Updates):
    """Compiled kernels on the CPU: fused, one pass over memory each, on all cores where that pays."""

    name = "numba"
    xp = array_api_compat.numpy

    def asarray(self, values: NDArray[Any], dtype: str) -> Array:
        """See `Arrays.asarray`."""
        array = aligned_empty(np.shape(values), dtype)
        array[...] = values
        return array

    def to_numpy(self, array: Array) -> NDArray[Any]:
        """See `Arrays.to_numpy`."""
        return np.array(array)

    def empty(self, shape: tuple[int, ...], dtype: str) -> Array:
        """See `Arrays.empty`."""
        return aligned_empty(shape, dtype)

    def owns(self, value: object) -> bool:
        """See `Arrays.owns`."""
        return isinstance(value, np.ndarray)

    def device(self) -> str:
        """Name the compiler and the threads (asking for their number starts them)."""
        threads = numba.get_num_threads()
        return f"CPU, Numba {numba.__version__}, {threads} thread{'s' * (threads > 1)} ({threading_layer()})"

    def memory(self) -> Memory:
        """See `Arrays.memory`."""
        return host_memory()
