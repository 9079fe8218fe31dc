"""How many threads of the host engines use."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_info

import nnx
from nnx import registry
from nnx.errors import OptionError


@pytest.fixture(autouse=True)
def restored(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Leave the limits as they were."""
    monkeypatch.setattr(registry, "_num_threads", None)
    before = {pool["filepath"]: pool["num_threads"] for pool in threadpool_info()}
    yield
    nnx.set_num_threads(max(before.values(), default=1))


@pytest.mark.parametrize("count", [0, -1, 1.5, True, "2", None])
def test_a_count_that_is_none_is_refused(count: Any) -> None:
    with pytest.raises(OptionError, match="count must be a whole number of at least 1, got"):
        nnx.set_num_threads(count)


def test_blas_and_numba_follow_one_call() -> None:
    backends = [nnx.get_backend("numpy")]
    if registry.describe("numba").available:
        backends.append(nnx.get_backend("numba"))
    for count, words in ((1, "1 thread"), (2, "2 threads")):
        nnx.set_num_threads(count)
        for backend in backends:
            assert backend.device().endswith(words)


def test_a_backend_loaded_later_is_told_too(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[int] = []

    class Listening(type(nnx.get_backend("numpy"))):  # type: ignore[misc]  # whichever class numpy's is
        name = "listening"

        def set_num_threads(self, count: int) -> None:
            told.append(count)

    monkeypatch.setattr(registry, "_loaded", dict(registry._loaded))
    monkeypatch.setattr(registry, "_registered", dict(registry._registered))
    registry.register("listening", Listening)
    nnx.set_num_threads(3)
    assert told == []
    nnx.get_backend("listening")
    assert told == [3]


def test_an_engine_without_threads_takes_the_call_and_does_nothing() -> None:
    backend = nnx.Backend.from_namespace(np)
    before = backend.device()
    backend.set_num_threads(1)
    assert backend.device() == before
