"""What every measuring process starts in: no leftover settings, and the thread count set before anything loads."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

_DROPPED = (
    "OPENBLAS_",
    "GOTO_",
    "OMP_",
    "KMP_",
    "GOMP_",
    "MKL_",
    "BLIS_",
    "VECLIB_",
    "NUMBA_NUM_",
    "NUMBA_CPU_",
    "PYTEST_",
)
"""Settings that choose kernels or threads behind a library's back, such as OPENBLAS_CORETYPE, which can halve the
speed of a product, or that tell a process it is one of several that test. They go for every side alike."""

_COUNTS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMBA_NUM_THREADS",
    "NPROC",  # what XLA sizes its pool by
)


def clean(threads: int, device: str = "cpu", given: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment of a process that measures with so many threads.

    Args:
        threads: at least 1.
        device: "cpu" or "cuda"; on "cpu", JAX is kept from looking for others.
        given: the environment to start from; by default this process's.
    """
    given = os.environ if given is None else given
    kept = {name: value for name, value in given.items() if not name.startswith(_DROPPED)}
    kept |= dict.fromkeys(_COUNTS, str(threads))
    multi = "true" if threads > 1 else "false"
    kept["XLA_FLAGS"] = f"--xla_cpu_multi_thread_eigen={multi} intra_op_parallelism_threads={threads}"
    kept["TORCHINDUCTOR_COMPILE_THREADS"] = "1"  # no pool of compiling processes beside the measurement
    if device == "cpu":
        kept["JAX_PLATFORMS"] = "cpu"
    else:
        kept["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"  # several libraries share the GPU's memory
    for name in ("NNX_BACKEND", "NNX_DATA"):
        kept.pop(name, None)
    paths = [str(ROOT), str(ROOT / "backends"), *filter(None, [kept.get("PYTHONPATH")])]
    return {**kept, "PYTHONPATH": os.pathsep.join(paths)}


def cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def pin(threads: int) -> None:
    """Keep this process, and all threads it will start, on so many cores, where the system can.

    Thread settings alone do not do it: JAX, for one, computes on a thread of its own beside the one that calls
    it, and would use two cores in a contest of one.
    """
    if hasattr(os, "sched_setaffinity"):
        allowed = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, allowed[-threads:])
