"""Threads that take turns as often as Python lets them, and numbers of threads that no test leaves changed."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest
from threadpoolctl import threadpool_info

import nnx
from nnx import registry


@pytest.fixture
def many_turns() -> Iterator[None]:
    """Have Python go from thread to thread after every few instructions."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.fixture
def threads_restored(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Leave the limits as they were."""
    monkeypatch.setattr(registry, "_num_threads", None)
    before = max((pool["num_threads"] for pool in threadpool_info()), default=1)
    yield
    nnx.set_num_threads(before)


@pytest.fixture
def small_shares(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have Numba's kernels deal out even small work."""
    if not registry.describe("numba").available:
        return
    registry.get("numba")
    monkeypatch.setattr("nnx_numba.linear.PRODUCTS", 100)
    for module in ("activations", "dropout", "hostarrays", "columns", "updates", "indexing", "pooling"):
        monkeypatch.setattr(f"nnx_numba.{module}.GRAIN", 64, raising=False)
