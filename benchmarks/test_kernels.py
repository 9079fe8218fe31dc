"""Every kernel over a sweep of sizes on every backend: python -m pytest benchmarks/test_kernels.py"""

from __future__ import annotations

import time
from typing import Any

import pytest

from benchmarks.contenders.nnx_fit import device_of
from benchmarks.kernels.cases import QUICK, SWEEP, Case
from benchmarks.kernels.recorded import record
from benchmarks.limits import Limits
from benchmarks.worker import calibrate
from nnx import registry


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    cases = QUICK if metafunc.config.getoption("--bench-quick") else SWEEP
    metafunc.parametrize("case", cases, ids=lambda case: case.name)


def test_kernel(
    benchmark: Any, backend_name: str, case: Case, limits: dict[str, Limits], threads: int, quick: bool
) -> None:
    began = time.perf_counter()
    loop = record(registry.get(backend_name), case)
    loop.run(1)
    first = time.perf_counter() - began
    times = calibrate(loop.run)
    benchmark.pedantic(loop.run, args=(times,), rounds=5 if quick else 15)
    seconds, work = benchmark.stats.stats.min / times, case.work
    machine = limits[device_of(backend_name)]
    assert seconds > 0
    benchmark.extra_info.update(
        backend=backend_name,
        threads=threads,
        kernel=case.kernel,
        shape=list(case.shape),
        seconds=seconds,
        first_seconds=first,
        flops_per_second=work.flops / seconds,
        bytes_per_second=work.bytes / seconds,
        intensity=work.flops / work.bytes,
        level=machine.level(work.footprint),
        fraction=machine.fraction(work, seconds),
    )
