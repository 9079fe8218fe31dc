"""PyTorch as a second opinion, where it is installed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

TORCH = {
    "identity": lambda _torch, z: z,
    "relu": lambda torch, z: torch.relu(z),
    "leaky_relu": lambda torch, z: torch.nn.functional.leaky_relu(z, 0.01),
    "elu": lambda torch, z: torch.nn.functional.elu(z),
    "sigmoid": lambda torch, z: torch.sigmoid(z),
    "tanh": lambda torch, z: torch.tanh(z),
    "softplus": lambda torch, z: torch.nn.functional.softplus(z),
    "gelu": lambda torch, z: torch.nn.functional.gelu(z),
    "silu": lambda torch, z: torch.nn.functional.silu(z),
    "softmax": lambda torch, z: torch.softmax(z, -1),
    "log_softmax": lambda torch, z: torch.log_softmax(z, -1),
}
"""Each activation as a function of (torch, tensor)."""


def torch_or_skip() -> Any:
    return pytest.importorskip("torch", reason="PyTorch is not installed: nothing to compare values with")


def leaf(values: NDArray[Any]) -> Any:
    """Make a float64 tensor that collects a gradient."""
    torch = torch_or_skip()
    return torch.tensor(np.asarray(values, dtype=np.float64), requires_grad=True)


def assert_close(ours: NDArray[Any], theirs: Any, scale: float = 1e-12) -> None:
    """Compare with a tensor, up to the rounding of sums taken in another order."""
    expected = theirs.detach().numpy()
    assert ours.shape == expected.shape
    np.testing.assert_allclose(ours, expected, rtol=scale, atol=scale)
