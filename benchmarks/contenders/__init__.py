"""Who takes part: the backends of nnx, and the peers."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Sequence

from benchmarks.contenders.base import Contender

PEERS = {
    "numpy-by-hand": ("numpy_by_hand", "ByHand", "numpy"),
    "torch": ("torch_eager", "Eager", "torch"),
    "torch-functional": ("torch_functional", "Functional", "torch"),
    "torch-compiled": ("torch_compiled", "Compiled", "torch"),
    "jax-jit": ("jax_step", "JitStep", "jax"),
    "jax-scan": ("jax_scan", "ScannedEpoch", "jax"),
    "scikit-learn": ("sklearn_mlp", "Perceptron", "sklearn"),
}
"""Name -> module in this package, its class, and the library that must be installed."""

ON_DEVICES = ("torch", "torch-functional", "torch-compiled", "jax-jit", "jax-scan")
"""The peers that run on a GPU."""

OURS = "nnx:"
"""What the name of a backend of nnx begins with, here."""


def peers(device: str) -> tuple[list[str], list[str]]:
    """Return the peers that are here for this device, and those whose library is not installed."""
    wanted = [name for name in PEERS if device == "cpu" or name in ON_DEVICES]
    present = [name for name in wanted if importlib.util.find_spec(PEERS[name][2])]
    return present, [name for name in wanted if name not in present]


def make(name: str, threads: int, device: str) -> Contender:
    """Load a contender into this process."""
    if name.startswith(OURS):
        from benchmarks.contenders.nnx_fit import Ours

        return Ours(name.removeprefix(OURS), threads)
    module, kind, _ = PEERS[name]
    made: Contender = getattr(importlib.import_module(f"benchmarks.contenders.{module}"), kind)(threads, device)
    return made


def ours(backends: Sequence[str]) -> list[str]:
    """Return the names that backends of nnx have as contenders."""
    return [OURS + name for name in backends]
