"""The backend: the array part, and all kernel families together."""

from __future__ import annotations

from typing import Any

import array_api_compat
import numpy as np
from numpy.typing import NDArray

from nnx.interface import Array, Memory
from nnx_cupy.activations import Activations
from nnx_cupy.device import CudaRuntime, Runtime, load_cupy
from nnx_cupy.dropout import Dropout
from nnx_cupy.indexing import Indexing
from nnx_cupy.kernels import Kernels, ModuleLoader
from nnx_cupy.linear import Linear
from nnx_cupy.losses import Losses
from nnx_cupy.normalization import Normalization
from nnx_cupy.updates import Updates


class CupyBackend(Linear, Activations, Normalization, Dropout, Losses, Indexing, Updates):
    """NVIDIA GPUs by way of CuPy.

    Kernels run on the current device and stream of the calling thread. Nothing is read back during a step, and
    nothing is allocated for contiguous inputs after the first.
    """

    name = "cupy"

    def __init__(self, xp: Any = None, module: ModuleLoader | None = None, runtime: Runtime | None = None) -> None:
        """Take CuPy for everything that is not given.

        Args:
            xp: the array namespace; of CuPy's, only what NumPy has too is used.
            module: compiles CUDA C++, as `cupy.RawModule` does.
            runtime: the device that the arrays lie on.

        Raises: BackendUnavailableError if CuPy is needed and cannot compute here.
        """
        if xp is None or module is None or runtime is None:
            cupy = load_cupy()
            xp, module, runtime = xp or cupy, module or cupy.RawModule, runtime or CudaRuntime(cupy)
        self._array_type = xp.ndarray
        super().__init__(array_api_compat.array_namespace(xp.empty(0)), Kernels(module), runtime)

    def asarray(self, values: NDArray[Any], dtype: str) -> Array:
        """See `Arrays.asarray`; converted on the host, copied in stream order."""
        return self.xp.asarray(np.array(values, dtype=dtype, order="C"), copy=True)

    def to_numpy(self, array: Array) -> NDArray[Any]:
        """See `Arrays.to_numpy`."""
        return self.runtime.to_numpy(array)

    def empty(self, shape: tuple[int, ...], dtype: str) -> Array:
        """See `Arrays.empty`; CuPy aligns to 512 bytes."""
        return self.xp.empty(shape, dtype=dtype)

    def owns(self, value: object) -> bool:
        """See `Arrays.owns`."""
        return isinstance(value, self._array_type)

    def synchronize(self) -> None:
        """See `Arrays.synchronize`."""
        self.runtime.synchronize()

    def device(self) -> str:
        """See `Arrays.device`."""
        return self.runtime.describe()

    def memory(self) -> Memory:
        """See `Arrays.memory`."""
        return self.runtime.memory()
