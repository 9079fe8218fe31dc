"""A backend from nothing but an array-API namespace: every kernel is the reference."""

from __future__ import annotations

from typing import Any

import array_api_compat
import numpy as np
from numpy.typing import NDArray

from nnx.errors import BackendError
from nnx.interface.arrays import Array
from nnx.interface.backend import Backend
from nnx.interface.host import Memory, host_memory


class GenericBackend(Backend):
    """Arrays of any namespace that follows the array API standard and lets arrays be assigned to."""

    def __init__(self, namespace: Any, name: str | None = None, device: Any = None) -> None:
        """Wrap the namespace; array-api-compat fills the gaps of those it knows (NumPy, CuPy, torch, ...)."""
        try:
            probe = namespace.empty(1)
            self.xp = array_api_compat.array_namespace(probe)
        except (AttributeError, TypeError) as error:
            shown = getattr(namespace, "__name__", namespace)
            raise BackendError(f"namespace must follow the Python array API standard, got {shown!r}.") from error
        self.name = name or f"generic:{namespace.__name__.split('.')[0]}"
        self._array_type = type(probe)
        self.on_host = isinstance(probe, np.ndarray)
        self._device = device

    def asarray(self, values: NDArray[Any], dtype: str) -> Array:
        """See `Arrays.asarray`; the host copy in between keeps read-only memory out of sharing."""
        host = np.array(values, dtype=dtype, order="C")
        return self.xp.asarray(host, dtype=getattr(self.xp, dtype), device=self._device, copy=True)

    def to_numpy(self, array: Array) -> NDArray[Any]:
        """See `Arrays.to_numpy`; by DLPack, which every namespace of the standard speaks."""
        return np.array(np.from_dlpack(self.xp.asarray(array, copy=True)))

    def empty(self, shape: tuple[int, ...], dtype: str) -> Array:
        """See `Arrays.empty`."""
        return self.xp.empty(shape, dtype=getattr(self.xp, dtype), device=self._device)

    def owns(self, value: object) -> bool:
        """See `Arrays.owns`."""
        return isinstance(value, self._array_type)

    def device(self) -> str:
        """See `Arrays.device`."""
        return f"{array_api_compat.device(self.xp.empty(1, device=self._device))} (reference kernels)"

    def memory(self) -> Memory:
        """Return the computer's memory: what the standard has no call for."""
        return host_memory()
