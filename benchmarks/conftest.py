"""Options and fixtures of the suites: which backends, which sizes, and what this machine can do at most."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from benchmarks import environment
from benchmarks.limits import Limits, measure
from nnx import registry

HARMFUL = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "MKL_DEBUG_CPU_TYPE", "NUMBA_CPU_NAME")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add what `nnx bench` passes on."""
    group = parser.getgroup("nnx benchmarks")
    group.addoption("--bench-backend", action="append", metavar="NAME", help="this backend only; repeatable")
    group.addoption("--bench-quick", action="store_true", help="few sizes and repetitions")
    group.addoption("--bench-limits", metavar="FILE", help="limits as benchmarks.limits prints them")


def pytest_configure(config: pytest.Config) -> None:
    """Refuse to measure under settings that choose a library's kernels for it."""
    del config
    present = [name for name in HARMFUL if name in os.environ]
    if present:
        raise pytest.UsageError(
            f"{', '.join(present)} in the environment: it would change what is measured; "
            "unset it, or run `nnx bench`, which measures without it."
        )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run on the backends asked for, or on all that can run here."""
    if "backend_name" in metafunc.fixturenames:
        chosen = metafunc.config.getoption("--bench-backend")
        usable = [info.name for info in registry.available_backends() if info.available]
        metafunc.parametrize("backend_name", chosen or usable)


@pytest.fixture(scope="session")
def threads() -> int:
    """How many threads the environment grants."""
    return int(os.environ.get("OMP_NUM_THREADS") or environment.cores())


@pytest.fixture(scope="session")
def limits(request: pytest.FixtureRequest, threads: int) -> dict[str, Limits]:
    """The limits of the processor, and of the GPU where a backend runs on one."""
    given = request.config.getoption("--bench-limits")
    if given:
        found: dict[str, Any] = json.loads(Path(given).read_text(encoding="utf-8"))
        return {device: Limits(**values) for device, values in found.items()}
    devices = ["cpu", "cuda"] if registry.describe("cupy").available else ["cpu"]
    return {device: measure(threads, device) for device in devices}


@pytest.fixture
def quick(request: pytest.FixtureRequest) -> bool:
    """Whether little time is to be spent."""
    return bool(request.config.getoption("--bench-quick"))
