"""The backend: the array part, and all kernel families together."""

from __future__ import annotations

from typing import Any

import array_api_compat
import numpy as np
from numpy.typing import NDArray

from nnx.interface import Array, Memory, Program, Tape
from nnx_cupy.activations import Activations
from nnx_cupy.convolution import Convolution
from nnx_cupy.device import CudaRuntime, Runtime, load_cupy
from nnx_cupy.dropout import Dropout
from nnx_cupy.embedding import Embedding
from nnx_cupy.indexing import Indexing
from nnx_cupy.kernels import Kernels, ModuleLoader
from nnx_cupy.library import best_products, tf32_wanted
from nnx_cupy.linear import Linear
from nnx_cupy.losses import Losses
from nnx_cupy.normalization import Normalization
from nnx_cupy.pooling import Pooling
from nnx_cupy.products import OwnProducts, Products
from nnx_cupy.programs import compile_step
from nnx_cupy.recurrent import Recurrent
from nnx_cupy.updates import Updates


class CupyBackend(
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
):
    """NVIDIA GPUs by way of CuPy.

    Kernels run on the current device and stream of the calling thread. Nothing is read back during a step, and
    nothing is allocated for contiguous inputs after the first.
    """

    name = "cupy"

    def __init__(
        self,
        xp: Any = None,
        module: ModuleLoader | None = None,
        runtime: Runtime | None = None,
        products: Products | None = None,
        *,
        tf32: bool | None = None,
    ) -> None:
        """Take CuPy for everything that is not given.

        Args:
            xp: the array namespace; of CuPy's, only what NumPy has too is used.
            module: compiles CUDA C++, as `cupy.RawModule` does.
            runtime: the device that the arrays lie on.
            products: what multiplies matrices.
            tf32: let cuBLASLt round the factors of large float32 products to 11 bits, which is several times
                faster; by default what the environment variable NNX_CUPY_TF32 says (1 or 0), and no without it.

        Raises:
            BackendUnavailableError: CuPy is needed and cannot compute here.
            OptionError: the environment variable says neither.
        """
        if xp is None or module is None or runtime is None:
            cupy = load_cupy()
            xp, module, runtime = xp or cupy, module or cupy.RawModule, runtime or CudaRuntime(cupy)
            products = products or best_products(cupy, tf32_wanted() if tf32 is None else tf32)
        self._array_type = xp.ndarray
        namespace = array_api_compat.array_namespace(xp.empty(0))
        super().__init__(namespace, Kernels(module), runtime, products or OwnProducts())

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
        return f"{self.runtime.describe()}, {self.products.describe()}"

    def compile(self, tape: Tape) -> Program:
        """See `Arrays.compile`; a CUDA graph of the step, launched once a step or less often.

        A tape with calls that are not kernels of this backend, or that CUDA cannot capture, becomes a loop over
        its calls; the logger "nnx_cupy" says so.
        """
        return compile_step(self, tape)

    def memory(self) -> Memory:
        """See `Arrays.memory`; those of the device."""
        return self.runtime.memory()

    def ran_out(self, error: BaseException) -> bool:
        """See `Arrays.ran_out`; so does CUDA, where a module is loaded or a graph launched."""
        return super().ran_out(error) or self.runtime.ran_out(error)
