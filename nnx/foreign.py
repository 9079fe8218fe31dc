"""Arrays of other libraries as NumPy arrays, by the protocols that they speak, copied only where they must be.

What NumPy reads by itself (`__array__`, `__array_interface__`, buffers) covers pandas, JAX, `array.array` and
memory views; DLPack covers the rest, and devices: what lies elsewhere is copied to the host by the library that
owns it. No library is imported here.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnx.errors import BackendError, DtypeError

CPU = 1
"""The number of the host among the devices of DLPack."""


def as_numpy(value: Any, argument: str) -> NDArray[Any]:
    """Return a NumPy array of any array; it may be read-only, and share the memory of `value`.

    Raises:
        ValueError: nested sequences of unequal lengths, as NumPy says.
        DtypeError: its elements are of a kind that NumPy has not, or it is sparse.
        BackendError: its library does not copy it to the host.
    """
    _refuse_sparse(value, argument)
    value = _plain_tensor(value)
    if not hasattr(value, "__dlpack__"):
        return _array(value, argument)
    kind = getattr(getattr(value, "dtype", None), "name", None) or str(getattr(value, "dtype", ""))
    if "bfloat16" in kind or "float8" in kind:
        raise DtypeError(
            f"{argument} must hold numbers of a kind that NumPy has, got {kind}; convert to float32 first."
        )
    if not on_host(value):
        return _copied_to_host(value, argument)
    if hasattr(value, "__array__"):
        return _array(value, argument)
    return _from_dlpack(value, argument)


def on_host(value: Any) -> bool:
    """Tell whether an array says that it lies in the memory of the host."""
    try:
        return bool(value.__dlpack_device__()[0] == CPU)
    except (AttributeError, TypeError, ValueError, RuntimeError, BufferError):  # a device that DLPack does not know
        return False


def _plain_tensor(value: Any) -> Any:
    """Return a tensor of PyTorch without gradient and lazy signs, which no protocol carries; else the value."""
    torch: Any = sys.modules.get("torch")
    if torch is None or not isinstance(value, torch.Tensor):
        return value
    return value.detach().resolve_conj().resolve_neg()


def _refuse_sparse(value: Any, argument: str) -> None:
    layout = str(getattr(value, "layout", ""))
    remedy = ".toarray()" if hasattr(value, "toarray") and hasattr(value, "nnz") else ""
    remedy = (
        f"{argument}.to_dense()" if layout.startswith("torch.sparse") else f"{argument}{remedy}" if remedy else ""
    )
    if remedy:
        raise DtypeError(f"{argument} must be dense, got a sparse {type(value).__name__}; give {remedy}.")


def _array(value: Any, argument: str) -> NDArray[Any]:
    try:
        return np.asarray(value)
    except (TypeError, RuntimeError, BufferError) as error:
        raise DtypeError(f"{argument} cannot be read as an array of numbers: {error}") from error


def _from_dlpack(value: Any, argument: str) -> NDArray[Any]:
    try:
        return np.from_dlpack(value)
    except (TypeError, RuntimeError, BufferError) as error:
        raise DtypeError(f"{argument} cannot be read as an array of numbers: {error}") from error


def _copied_to_host(value: Any, argument: str) -> NDArray[Any]:
    try:
        return np.from_dlpack(value, device="cpu")
    except Exception as error:  # each library has its own for what it does not copy
        library = type(value).__module__.partition(".")[0]
        raise BackendError(
            f"{argument} does not lie in the memory of the host, and {library} does not copy it there by itself "
            f"({error}); copy it first, such as by {argument}.cpu() or {argument}.get()."
        ) from error
