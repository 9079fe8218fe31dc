"""What CuPy tells of its device's memory, and how CUDA says that it ended, without a GPU."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from nnx.interface import Memory
from nnx_cupy.device import CudaRuntime


class StatusError(RuntimeError):
    """An error of CUDA, which has a number."""

    def __init__(self, status: int) -> None:
        super().__init__(str(status))
        self.status = status


class RuntimeStatusError(StatusError):
    """As the runtime gives it."""


class DriverStatusError(StatusError):
    """As the driver gives it."""


def cupy_with(held: int = 0, used: int = 0, limit: int = 0) -> Any:
    """Return of CuPy what is asked about memory, on a device of 1000 bytes, 300 of them free."""
    pool = SimpleNamespace(free_bytes=lambda: held, used_bytes=lambda: used, get_limit=lambda: limit)
    runtime = SimpleNamespace(memGetInfo=lambda: (300, 1000), CUDARuntimeError=RuntimeStatusError)
    cuda = SimpleNamespace(runtime=runtime, driver=SimpleNamespace(CUDADriverError=DriverStatusError))
    return SimpleNamespace(cuda=cuda, get_default_memory_pool=lambda: pool)


@pytest.mark.parametrize(
    ("pool", "free"),
    [
        ({}, 300),
        ({"held": 200, "used": 50}, 500),
        ({"held": 200, "used": 50, "limit": 400}, 350),
        ({"held": 0, "used": 500, "limit": 400}, 0),
    ],
)
def test_what_the_pool_holds_for_reuse_is_free_and_its_limit_holds(pool: dict[str, int], free: int) -> None:
    assert CudaRuntime(cupy_with(**pool)).memory() == Memory(free, 1000)


@pytest.mark.parametrize("kind", [RuntimeStatusError, DriverStatusError])
def test_cudas_number_for_no_memory_is_known_and_no_other(kind: type[StatusError]) -> None:
    runtime = CudaRuntime(cupy_with())
    assert runtime.ran_out(kind(2))
    assert not runtime.ran_out(kind(700))
    assert not runtime.ran_out(StatusError(2))  # another library's, where it may mean anything


def test_cupy_has_the_errors_that_are_looked_for() -> None:
    cupy = pytest.importorskip("cupy", reason="CuPy is not installed")
    assert issubclass(cupy.cuda.runtime.CUDARuntimeError, Exception)
    assert issubclass(cupy.cuda.driver.CUDADriverError, Exception)
