"""The Numba backend of nnx: kernels compiled for the CPU at hand."""

from __future__ import annotations

from nnx.errors import BackendUnavailableError
from nnx.interface import Backend


def _load() -> type[Backend]:
    """Return the backend, or a stand-in that says on construction why it cannot be had."""
    try:
        from nnx_numba.backend import NumbaBackend
    except ImportError as error:
        return _unavailable(str(error))
    return NumbaBackend


def _unavailable(reason: str) -> type[Backend]:
    class Unavailable(Backend):
        name = "numba"

        def __init__(self) -> None:
            raise BackendUnavailableError(
                self.name, f"Numba cannot be imported ({reason}).", "Try: pip install --upgrade numba."
            )

    return Unavailable


NumbaBackend = _load()
"""The backend class that the registry finds by the entry point."""

__all__ = ["NumbaBackend"]
