"""The reference on PyTorch's tensors, on the CPU and on a GPU."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnx.errors import BackendUnavailableError
from nnx.interface import Memory
from nnx.interface.generic import GenericBackend


class TensorBackend(GenericBackend):
    """Tensors on one device."""

    def __init__(self, name: str, torch: Any, device: str) -> None:
        """Take the name that users select it by, the library, and a device of it."""
        super().__init__(torch, name, torch.device(device))
        self._torch, self._on_gpu = torch, device != "cpu"

    def to_numpy(self, array: Any) -> NDArray[Any]:
        """Copy by way of the CPU: NumPy reads no memory of a GPU."""
        return np.array(array.detach().cpu().numpy())

    def synchronize(self) -> None:
        """Wait for the GPU."""
        if self._on_gpu:
            self._torch.cuda.synchronize(self._device)

    def memory(self) -> Memory:
        """Tell that of the GPU, or of the computer."""
        return Memory(*self._torch.cuda.mem_get_info(self._device)) if self._on_gpu else super().memory()


def on_cpu() -> TensorBackend:
    """Return the backend `torch-cpu`."""
    return TensorBackend("torch-cpu", _torch("torch-cpu"), "cpu")


def on_cuda() -> TensorBackend:
    """Return the backend `torch-cuda`.

    Raises:
        BackendUnavailableError: PyTorch is not installed, or finds no GPU.
    """
    torch = _torch("torch-cuda")
    if not torch.cuda.is_available():
        hint = "Install a PyTorch for the CUDA version of the driver."
        raise BackendUnavailableError("torch-cuda", "PyTorch finds no CUDA GPU.", hint)
    return TensorBackend("torch-cuda", torch, "cuda")


def _torch(name: str) -> Any:
    try:
        return import_module("torch")
    except ImportError as error:
        raise BackendUnavailableError(name, "PyTorch is not installed.", "python -m pip install torch") from error
