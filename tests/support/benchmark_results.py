"""Results as `nnx bench` writes them, made by hand: two backends, two sizes, one workload."""

from __future__ import annotations

from typing import Any

from benchmarks.kernels.work import WORK


def _kernel(backend: str, count: int, seconds: float) -> dict[str, Any]:
    work = WORK["adam"](count)
    return {
        "backend": backend,
        "kernel": "adam",
        "shape": [count],
        "seconds": seconds,
        "flops_per_second": 0.0,
        "bytes_per_second": work.bytes / seconds,
        "intensity": 0.0,
        "fraction": 0.5,
    }


def _verdict(task: str, ours: str, ratio: float, **more: Any) -> dict[str, Any]:
    row = {"task": task, "threads": 1, "per": "epoch", "ours": ours, "seconds": 0.028, "against": "jax-scan"}
    row |= {"against_seconds": 0.028 * ratio, "ratio": ratio, "low": ratio - 0.1, "high": ratio + 0.1}
    row |= {"share": None, "disputed": False, "wanted_ratio": 2.0, "wanted_share": None, "met": ratio >= 2}
    return {**row, **more}


def sample() -> dict[str, Any]:
    """Return fresh results."""
    workload = {"backend": "numba", "workload": "W2", "intensity": 4.0, "flops_per_second": 5e10, "fraction": 0.3}
    verdicts = [_verdict("W2", "nnx:numba", 2.5), _verdict("W2", "nnx:numpy", 0.8, disputed=True)]
    limits = {"sgemm": 2e11, "multiply_add": 2.6e11, "threads": 1, "capacity": {"L1": 48e3, "L2": 1e6}}
    rates = {"L1": 5e11, "L2": 2e11, "DRAM": 5e10}
    epochs = [
        {"examples": n, "seconds": n * 1e-6, "bytes": n * 300, "required": n * 290} for n in (10_000, 100_000)
    ]
    machine = {"processor": "Test <CPU>", "cores": 2, "instructions": ["avx2"], "python": "3.11.7"}
    described = {"versions": {"nnx": "0"}, "blas": [], "loading_seconds": 0.1}
    return {
        "format": 1,
        "machine": {**machine, "versions": {"numpy": "2.4.6"}},
        "device": "cpu",
        "rounds": [
            {
                "threads": 1,
                "limits": {**limits, "bandwidth": rates, "in_place": rates},
                "contenders": {"nnx:numba": described},
                "kernels": [
                    _kernel("numpy", 1000, 1e-6),
                    _kernel("numba", 1000, 4e-6),
                    _kernel("numpy", 100_000, 4e-4),
                    _kernel("numba", 100_000, 1e-4),
                ],
                "workloads": [workload],
                "verdicts": verdicts,
                "ratios": [{**row, "median": row["ratio"]} for row in verdicts],
            }
        ],
        "scaling": {
            "epochs": {"numba": {"rows": epochs, "deviation": 0.0}},
            "first_fit": {"numba": {"after_install": 4.5, "later": 0.4}},
            "import": 0.12,
        },
    }
