"""Finding CUDA, and the few calls in which CuPy and NumPy differ."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

from numpy.typing import NDArray

from nnx.errors import BackendUnavailableError
from nnx.interface import Array, Memory

_HINT = (
    "It needs an NVIDIA GPU with its driver, and CuPy for the driver's CUDA version (nvidia-smi shows it): "
    "python -m pip install 'cupy-cuda13x[ctk]>=14', or 'cupy-cuda12x[ctk]>=14' for CUDA 12."
)

_NO_MEMORY = 2
"""cudaErrorMemoryAllocation, CUDA_ERROR_OUT_OF_MEMORY."""


class Graph(Protocol):
    """Launches of kernels that were captured, with the memory they need."""

    def launch(self) -> None:
        """Run all of them, in their order, on the current stream."""


class Runtime(Protocol):
    """What a backend asks its device, apart from arrays and kernels."""

    def place(self) -> tuple[int, int]:
        """Return the current device and stream: work on one place runs in the order it was handed over."""

    def address(self, array: Array) -> int:
        """Return where the first element of an array lies."""

    def capture(self, work: Callable[[], None]) -> Graph:
        """Keep the launches that `work` makes, in place of running them.

        Raises: whatever `work` raises, or what CUDA says to work that no graph can hold. The calling thread is
        then where it was before.
        """

    def to_numpy(self, array: Array) -> NDArray[Any]:
        """Copy an array to a fresh NumPy array."""

    def synchronize(self) -> None:
        """Wait for all work on the current device."""

    def describe(self) -> str:
        """Name the current device."""

    def memory(self) -> Memory:
        """Return how many bytes arrays on the current device can still have, and all it has."""

    def ran_out(self, error: BaseException) -> bool:
        """Tell whether an error is CUDA's word that the device has no memory left."""


class _CudaGraph:
    """A graph of CuPy and the memory pool that it works in."""

    def __init__(self, graph: Any, pool: Any) -> None:
        self._graph, self._pool = graph, pool

    def launch(self) -> None:
        """See `Graph.launch`."""
        self._graph.launch()


class CudaRuntime:
    """The runtime of CuPy."""

    def __init__(self, cupy: Any) -> None:
        """Keep the module, which is imported only where it is wanted."""
        self._cupy = cupy

    def place(self) -> tuple[int, int]:
        """See `Runtime.place`."""
        cuda = self._cupy.cuda
        return cuda.runtime.getDevice(), cuda.get_current_stream().ptr

    def address(self, array: Array) -> int:
        """See `Runtime.address`."""
        return int(array.data.ptr)

    def capture(self, work: Callable[[], None]) -> Graph:
        """See `Runtime.capture`.

        The stream is a private one that does not block: CUDA lets none but such a one be captured while other
        threads use the default stream. Nothing runs on it; the graph is launched on its caller's stream, and so
        is in order with what comes before and after. What `work` allocates lies in a pool that lives as long as
        the graph, since the graph has its addresses.
        """
        cuda = self._cupy.cuda
        pool, stream = cuda.MemoryPool(), cuda.Stream(non_blocking=True)
        with cuda.using_allocator(pool.malloc), stream:
            stream.begin_capture()
            try:
                work()
            except BaseException:
                with suppress(RuntimeError):  # CUDA's word that the capture failed; the stream is as before
                    stream.end_capture()
                raise
            return _CudaGraph(stream.end_capture(), pool)

    def to_numpy(self, array: Array) -> NDArray[Any]:
        """See `Runtime.to_numpy`; blocks until the stream has filled the copy."""
        host: NDArray[Any] = array.get()
        return host

    def synchronize(self) -> None:
        """See `Runtime.synchronize`."""
        self._cupy.cuda.Device().synchronize()

    def describe(self) -> str:
        """See `Runtime.describe`; for example "NVIDIA H200 (compute capability 9.0, 140 GiB)"."""
        runtime = self._cupy.cuda.runtime
        properties = runtime.getDeviceProperties(runtime.getDevice())
        capability = f"{properties['major']}.{properties['minor']}"
        gibibytes = round(properties["totalGlobalMem"] / 2**30)
        return f"{properties['name'].decode()} (compute capability {capability}, {gibibytes} GiB)"

    def memory(self) -> Memory:
        """See `Runtime.memory`; what CuPy's pool holds for reuse is free, and its limit holds."""
        pool, (free, total) = self._cupy.get_default_memory_pool(), self._cupy.cuda.runtime.memGetInfo()
        free, limit = free + int(pool.free_bytes()), int(pool.get_limit())
        return Memory(max(min(free, limit - int(pool.used_bytes())), 0) if limit else free, total)

    def ran_out(self, error: BaseException) -> bool:
        """See `Runtime.ran_out`; the number is the same for the runtime and for the driver."""
        cuda = self._cupy.cuda
        kinds = cuda.runtime.CUDARuntimeError, cuda.driver.CUDADriverError
        return isinstance(error, kinds) and getattr(error, "status", 0) == _NO_MEMORY


def load_cupy() -> Any:
    """Import CuPy and make sure that it can compute.

    Raises: BackendUnavailableError if CuPy, the driver, a device or a CUDA library is missing.
    """
    try:
        import cupy
    except ImportError as error:
        raise _unavailable(f"CuPy cannot be imported ({_first_line(error)}).") from error
    try:
        if cupy.cuda.runtime.getDeviceCount() == 0:
            raise _unavailable("No CUDA device was found.")
    except cupy.cuda.runtime.CUDARuntimeError as error:
        raise _unavailable(f"CUDA does not run here ({_first_line(error)}).") from error
    try:
        cupy.cuda.nvrtc.getVersion()
    except (ImportError, RuntimeError) as error:
        raise _unavailable(f"CUDA's compiler cannot be loaded ({_first_line(error)}).") from error
    return cupy


def _unavailable(reason: str) -> BackendUnavailableError:
    return BackendUnavailableError("cupy", reason, _HINT)


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0] or type(error).__name__
