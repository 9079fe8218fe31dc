"""The backend: NumPy arrays, kernels compiled by Numba."""

from __future__ import annotations

from typing import Any

import array_api_compat.numpy
import numba
import numpy as np
from numpy.typing import NDArray

from nnx.interface import Array, Memory, Program, Scratch, Tape, aligned_empty, host_memory
from nnx_numba import team
from nnx_numba.activations import Activations
from nnx_numba.convolution import Convolution
from nnx_numba.dropout import Dropout
from nnx_numba.embedding import Embedding
from nnx_numba.indexing import Indexing
from nnx_numba.linear import Linear
from nnx_numba.lines import REGISTER_BYTES
from nnx_numba.losses import Losses
from nnx_numba.normalization import Normalization
from nnx_numba.pooling import Pooling
from nnx_numba.program import compile_tape, scratch_of_tape
from nnx_numba.recurrent import Recurrent
from nnx_numba.updates import Updates

_IMAGES, _SEQUENCES = (Convolution, Pooling), (*Recurrent.__bases__, Embedding)
_FAMILIES = (Linear, Activations, *_IMAGES, *_SEQUENCES, Normalization, Dropout, Losses, Indexing, Updates)
_NATIVE = {function for family in _FAMILIES for function in vars(family).values() if callable(function)}


def _is_native(kernel: Any) -> bool:
    """Whether a kernel is one of ours, which do nothing but launch; a subclass may have others."""
    return getattr(kernel, "__func__", None) in _NATIVE


class NumbaBackend(
    Recurrent,
    Embedding,
    Linear,
    Convolution,
    Pooling,
    Normalization,
    Dropout,
    Losses,
    Indexing,
    Updates,
):
    """Compiled kernels on the CPU: fused, one pass over memory each, on all cores where that pays."""

    name = "numba"
    xp = array_api_compat.numpy
    on_host = True

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
        """Name the compiler, the vectors and the threads."""
        threads = team.num_threads()
        vectors = f"{8 * REGISTER_BYTES}-bit vectors"
        return f"CPU, Numba {numba.__version__}, {vectors}, {threads} thread{'s' * (threads > 1)}"

    def compile(self, tape: Tape) -> Program:
        """Walk the whole step natively, except for kernels of others."""
        return compile_tape(tape, _is_native)

    def scratch_of(self, tape: Tape) -> Scratch:
        """See `Arrays.scratch_of`."""
        return scratch_of_tape(tape, _is_native)

    def set_num_threads(self, count: int) -> None:
        """See `Arrays.set_num_threads`."""
        team.set_num_threads(count)

    def memory(self) -> Memory:
        """See `Arrays.memory`."""
        return host_memory()
