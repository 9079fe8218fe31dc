"""The array part: making, moving and describing arrays."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from nnx.interface.host import Memory
from nnx.tape import Program, ReplayLoop, Tape

Array: TypeAlias = Any
"""An array of the backend in use; anything that follows the Python array API standard."""


class Scratch(NamedTuple):
    """Working memory of an engine for one recorded step, in bytes.

    Attributes:
        program: what the program of the step keeps.
        thread: what a thread keeps that runs the calls one by one, as the thread that records them does.
    """

    program: int = 0
    thread: int = 0


class Arrays:
    """Where arrays live and how they get there.

    Attributes:
        name: the name users select the backend by.
        xp: the array namespace (array API standard) that `nnx.reference` computes in.
        on_host: whether arrays are NumPy's, in the memory of the computer, so that processes side by side share
            nothing but cores and memory; False, as on a device of its own, unless a backend says otherwise.
    """

    name: str
    xp: Any
    on_host: bool = False

    def asarray(self, values: NDArray[Any], dtype: str) -> Array:
        """Copy a host array to the device, C-contiguous and converted to `dtype` ("float32", "int64", ...)."""
        raise NotImplementedError(f"{type(self).__name__} must supply asarray")

    def to_numpy(self, array: Array) -> NDArray[Any]:
        """Copy a device array to a fresh, writable NumPy array."""
        raise NotImplementedError(f"{type(self).__name__} must supply to_numpy")

    def empty(self, shape: tuple[int, ...], dtype: str) -> Array:
        """Allocate a C-contiguous array with undefined contents, aligned to 64 bytes where the engine can."""
        raise NotImplementedError(f"{type(self).__name__} must supply empty")

    def owns(self, value: object) -> bool:
        """Tell whether `value` is an array that this backend's kernels can take."""
        raise NotImplementedError(f"{type(self).__name__} must supply owns")

    def zeros(self, shape: tuple[int, ...], dtype: str) -> Array:
        """Allocate an array of zeros."""
        array = self.empty(shape, dtype)
        array[...] = 0
        return array

    def dtype_name(self, array: Array) -> str:
        """Return the dtype of an array as a plain string: "float32", "int64", ..."""
        return str(array.dtype).rsplit(".", 1)[-1]

    def synchronize(self) -> None:
        """Wait until all work handed to the device is done; nothing to do on a CPU."""

    def device(self) -> str:
        """Describe the device in a few words, for tables and reports."""
        return "CPU"

    def memory(self) -> Memory:
        """Return what arrays can still have of the memory that they lie in, and all of it, in bytes."""
        raise NotImplementedError(f"{type(self).__name__} must supply memory")

    def ran_out(self, error: BaseException) -> bool:
        """Tell whether an error of this engine says that memory ended; by default Python's own, and its heirs."""
        return isinstance(error, MemoryError)

    def scratch_of(self, tape: Tape) -> Scratch:
        """Return what these calls take beside their arguments, as far as that is known; by default nothing.

        The arguments may be outlines, which have no memory: nothing is run, and nothing written.
        """
        del tape
        return Scratch()

    def set_num_threads(self, count: int) -> None:
        """Use at most so many threads of the host from now on; nothing to do for an engine that has none."""

    def compile(self, tape: Tape) -> Program:
        """Turn a recorded step into a program that repeats it; by default a loop over the recorded calls."""
        return ReplayLoop(tape)


def aligned_empty(shape: tuple[int, ...], dtype: str) -> NDArray[Any]:
    """Allocate a NumPy array whose first element lies on a 64-byte boundary (a cache line, an AVX-512 word)."""
    kind = np.dtype(dtype)
    size = int(np.prod(shape, dtype=np.int64)) * kind.itemsize
    raw = np.empty(size + 64, np.uint8)
    start = -raw.ctypes.data % 64
    return raw[start : start + size].view(kind).reshape(shape)
