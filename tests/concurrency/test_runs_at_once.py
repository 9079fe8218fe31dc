"""Eight threads that build, train and predict at once get exactly what each gets alone."""

from __future__ import annotations

import importlib.util
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from support.runs_at_once import run, same

import nnx
from nnx import registry


def runs() -> list[tuple[str, str]]:
    """Return eight runs, on every engine that is here; what is not here is done on NumPy."""
    here = {name for name in ("numba", "generic:array_api_strict") if registry.describe(name).available}
    here |= {"generic:torch"} if importlib.util.find_spec("torch") else set()
    wanted = [
        ("dense", "numba"),
        ("batch norm", "numpy"),
        ("dropout", "generic:array_api_strict"),
        ("images", "numba"),
        ("sequences", "numba"),
        ("tokens", "numpy"),
        ("own layer", "generic:torch"),
        ("residual", "numba"),
    ]
    return [(name, backend if backend in here else "numpy") for name, backend in wanted]


@pytest.mark.usefixtures("many_turns", "threads_restored", "small_shares")
@pytest.mark.parametrize("count", [1, 2])
def test_eight_threads_on_several_engines_get_what_they_get_alone(count: int) -> None:
    nnx.set_num_threads(count)
    alone = [run(*which) for which in runs()]
    gate = threading.Barrier(8)
    with ThreadPoolExecutor(8) as pool:
        for _ in range(3):
            together = list(pool.map(lambda which: run(*which, gate), runs()))
            for which, one, other in zip(runs(), alone, together, strict=True):
                assert same(one, other), which


@pytest.mark.usefixtures("many_turns", "threads_restored", "small_shares")
def test_eight_threads_on_the_same_engine_get_what_they_get_alone(backend_name: str) -> None:
    names, gate = ["dense", "batch norm", "images", "sequences"] * 2, threading.Barrier(8)
    nnx.set_num_threads(2)
    alone = {name: run(name, backend_name) for name in names[:4]}
    with ThreadPoolExecutor(8) as pool:
        for name, found in zip(names, pool.map(lambda name: run(name, backend_name, gate), names), strict=True):
            assert same(found, alone[name]), name


@pytest.mark.usefixtures("many_turns", "threads_restored", "small_shares")
def test_numbers_of_threads_set_in_the_midst_of_others_training_change_nothing_on_numba() -> None:
    if not registry.describe("numba").available:
        pytest.skip("numba is not available")
    nnx.set_num_threads(2)
    backend, done = nnx.get_backend("numba"), threading.Event()
    alone = run("dense", "numba")

    def meddle() -> None:
        counts = iter(range(1 << 30))
        while not done.is_set():
            backend.set_num_threads(next(counts) % 3 + 1)

    meddler = threading.Thread(target=meddle)
    meddler.start()
    try:
        with ThreadPoolExecutor(2) as pool:
            found = list(pool.map(lambda _: run("dense", "numba"), range(20)))
    finally:
        done.set()
        meddler.join()
    assert all(same(one, alone) for one in found)


def test_engines_loaded_for_the_first_time_by_eight_threads_are_loaded_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(registry, "_loaded", {})
    monkeypatch.setattr(registry, "_registered", dict(registry._registered))
    made, gate = list[nnx.Backend](), threading.Barrier(8)

    def factory() -> nnx.Backend:
        made.append(nnx.Backend.from_namespace(np))
        return made[-1]

    registry.register("slow", factory)

    def load(_: int) -> nnx.Backend:
        gate.wait()
        return nnx.get_backend("slow")

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(load, range(8))) == made * 8
