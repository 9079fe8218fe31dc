"""Which machine, and which versions: what a figure means nothing without."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

from nnx.machine import processor, versions

LIBRARIES = ("numpy", "scipy", "numba", "llvmlite", "cupy", "torch", "jax", "jaxlib", "scikit-learn")


def instructions() -> list[str]:
    """Return the vector instructions that matter to products, as LLVM tells."""
    from llvmlite import binding

    known = binding.get_host_cpu_features()
    return [name for name in ("avx2", "fma", "avx512f", "neon", "sve") if known.get(name)]


def caches() -> dict[str, int]:
    """Return the bytes of data cache ("L1", "L2", "L3") that one core sees; usual ones if the system hides them."""
    found = {}
    for index in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        level, kind, size = ((index / name).read_text().strip() for name in ("level", "type", "size"))
        if kind != "Instruction":
            found[f"L{level}"] = int(size.removesuffix("K")) * 1024
    return found or {"L1": 32 * 1024, "L2": 1024 * 1024, "L3": 16 * 1024 * 1024}


def blas_kernels() -> list[dict[str, Any]]:
    """Return each BLAS loaded in this process, the kernels it chose, and its threads."""
    import threadpoolctl

    kept = ("internal_api", "version", "architecture", "num_threads", "threading_layer")
    return [
        {"library": Path(pool["filepath"]).parent.name, **{name: pool.get(name) for name in kept}}
        for pool in threadpoolctl.threadpool_info()
        if pool["user_api"] == "blas"
    ]


def describe() -> dict[str, Any]:
    """Return all of it, and nothing that tells where the machine stands or whose it is."""
    from benchmarks.environment import cores

    return {
        "processor": processor(),
        "cores": cores(),
        "instructions": instructions(),
        "caches": caches(),
        "system": platform.system(),
        "python": platform.python_version(),
        "versions": versions(LIBRARIES),
    }
