"""The CUDA backend: its kernels compile for every GPU, compute rightly on the CPU, and say so where no GPU is."""

from __future__ import annotations

import functools
import re
import sys
import threading
import tomllib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import hostcuda
import numpy as np
import pytest
from hostcuda import HostModule, KernelError
from shadow import ShadowBackend

import nnx_cupy
from nnx import reference
from nnx.conformance import check_backend
from nnx.errors import BackendUnavailableError
from nnx_cupy import CupyBackend

PYPROJECT = Path(__file__).parent.parent / "pyproject.toml"
SEEDS = range(4)

on_the_cpu = pytest.mark.skipif(hostcuda.unavailable() is not None, reason=str(hostcuda.unavailable()))


@on_the_cpu
@pytest.mark.parametrize("seed", SEEDS)
def test_the_shadow_passes_the_whole_kit_and_every_step_is_a_graph(
    seed: int, caplog: pytest.LogCaptureFixture
) -> None:
    report = check_backend(ShadowBackend(seed))
    assert report.ok, str(report)
    assert not caplog.records  # of a step that had to do without one


def long_softmax(backend: CupyBackend) -> Iterator[np.ndarray[Any, Any]]:
    x = np.random.default_rng(3).standard_normal((5, 700)).astype("float32")
    y = np.empty_like(x)
    backend.softmax(x, y)
    yield y


def batch_norm(backend: CupyBackend) -> Iterator[np.ndarray[Any, Any]]:
    x = np.random.default_rng(4).standard_normal((700, 37)).astype("float32")
    running, scale = np.zeros((2, 37), "float32"), np.ones(37, "float32")
    y, mean, rstd = np.empty_like(x), np.empty_like(scale), np.empty_like(scale)
    backend.batch_norm(x, scale, scale, *running, y, mean, rstd, 0.1, 1e-5)
    yield from (y, mean, rstd, running)


def dense_gradient(backend: CupyBackend) -> Iterator[np.ndarray[Any, Any]]:
    x, dy = np.random.default_rng(5).standard_normal((2, 500, 11)).astype("float32")
    w, dz, dw, db = (
        np.eye(11, dtype="float32"),
        np.empty_like(x),
        np.empty((11, 11), "float32"),
        np.empty(11, "float32"),
    )
    backend.linear_backward(x, x, dy, w, dz, None, dw, db, "relu", 0.0)
    yield from (dz, db)


def squared_error(backend: CupyBackend) -> Iterator[np.ndarray[Any, Any]]:
    y, t = np.random.default_rng(6).standard_normal((2, 300, 5)).astype("float32")
    loss, dy = np.empty((), "float32"), np.empty_like(y)
    backend.mean_squared_error(y, t, None, loss, dy)
    yield from (loss, dy)


def random_bits(backend: CupyBackend) -> Iterator[np.ndarray[Any, Any]]:
    bits = np.empty((80, 300), "int32")
    backend.random_bits(np.array(7), bits, 1, 2)
    yield bits


def adam(backend: CupyBackend) -> Iterator[np.ndarray[Any, Any]]:
    p, g, m, v = np.random.default_rng(7).random((4, 600)).astype("float32")
    backend.adam(p, g, m, v, np.array(3), np.array(0.1, "float32"), 0.9, 0.999, 1e-8, 0.0)
    yield from (p, m, v)


PROGRAMS = (long_softmax, batch_norm, dense_gradient, squared_error, random_bits, adam)
Program = Callable[[CupyBackend], Iterator[np.ndarray[Any, Any]]]


@on_the_cpu
@pytest.mark.parametrize("program", PROGRAMS)
def test_results_are_the_same_bits_in_any_order_of_threads(program: Program) -> None:
    first, *others = [list(program(ShadowBackend(seed))) for seed in SEEDS]
    for other in others:
        for a, b in zip(first, other, strict=True):
            np.testing.assert_array_equal(a, b)


@on_the_cpu
@pytest.mark.parametrize(
    ("program", "function", "nth"),
    [
        (long_softmax, "team_reduce", 1),
        (batch_norm, "block_sum", 0),
        (squared_error, "block_sum", 1),
        (squared_error, "arrives_last", 1),
        (random_bits, "each_lane", 0),
        (random_bits, "each_lane", 1),
        (adam, "adam", 0),
    ],
)
def test_a_forgotten_barrier_is_noticed(program: Program, function: str, nth: int) -> None:
    right = list(program(ShadowBackend()))
    wrong = 0
    for seed in SEEDS:
        try:
            got = list(program(ShadowBackend(module=functools.partial(broken_module, seed, function, nth))))
        except KernelError:  # what the missing barrier leaves may be worse than wrong numbers
            wrong += 1
        else:
            wrong += any(not np.allclose(a, b, rtol=1e-3, atol=1e-5) for a, b in zip(right, got, strict=True))
    assert wrong > 0


def broken_module(
    seed: int, function: str, nth: int, *, code: str, options: tuple[str, ...], name_expressions: Iterable[str]
) -> HostModule:
    text = without_barrier(code, function, nth)
    return HostModule(code=text, options=options, name_expressions=name_expressions, seed=seed)


def without_barrier(code: str, function: str, nth: int) -> str:
    """The source without the nth `__syncthreads` of a function; unchanged where the function is absent."""
    start = re.search(rf"\b{function}\([^;]*?\) \{{", code)
    if start is None:
        return code
    place = start.end()
    for _ in range(nth + 1):
        place = code.index("__syncthreads();", place) + 1
    return code[: place - 1] + code[place - 1 :].replace("__syncthreads();", "", 1)


@on_the_cpu
def test_a_step_allocates_nothing_once_it_was_run(monkeypatch: pytest.MonkeyPatch) -> None:
    shadow = ShadowBackend()
    before = [list(program(shadow)) for program in PROGRAMS]
    monkeypatch.setattr(shadow, "xp", None)
    for program, expected in zip(PROGRAMS, before, strict=True):
        for again, former in zip(program(shadow), expected, strict=True):
            np.testing.assert_array_equal(again, former)


@on_the_cpu
def test_threads_do_not_share_scratch_memory() -> None:
    shadow = ShadowBackend()
    found: dict[int, Any] = {}

    def ask(number: int) -> None:
        found[number] = shadow.scratch(np.dtype("float32"), 100)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not np.shares_memory(found[0].partials, found[1].partials)
    assert not np.shares_memory(found[0].arrivals, found[1].arrivals)


@on_the_cpu
@pytest.mark.parametrize("scale", [1e-42, 1e-30, 1.0, 1e15, 1e36])
def test_the_norm_of_extreme_gradients_neither_overflows_nor_vanishes(scale: float) -> None:
    g = (np.random.default_rng(8).standard_normal(1000) * scale).astype("float32")
    expected = np.sqrt(np.sum(g.astype("float64") ** 2))
    norm = np.empty((), "float32")
    ShadowBackend().clip_by_global_norm(g, norm, float("inf"))
    np.testing.assert_allclose(norm, expected, rtol=1e-5, atol=2e-45)


@on_the_cpu
def test_a_large_mean_costs_no_digits_of_the_variance() -> None:
    x = np.random.default_rng(9).standard_normal((3000, 3)) + np.array([0.0, 1e3, 1e4])
    x = x.astype("float32")
    running, scale = np.zeros((2, 3), "float32"), np.ones(3, "float32")
    y, mean, rstd = np.empty_like(x), np.empty_like(scale), np.empty_like(scale)
    ShadowBackend().batch_norm(x, scale, scale, *running, y, mean, rstd, 0.1, 0.0)
    np.testing.assert_allclose(rstd, 1 / x.astype("float64").std(axis=0), rtol=1e-5)


@on_the_cpu
def test_random_bits_for_the_largest_seeds() -> None:
    bits, expected = np.empty((3, 33), "int32"), np.empty((3, 33), "int32")
    seed = stream = 2**64 - 1
    step = np.array(2**40)
    ShadowBackend().random_bits(step, bits, seed, stream)
    reference.random_bits(ShadowBackend().xp, step, expected, seed, stream)
    np.testing.assert_array_equal(bits, expected)


def test_without_cupy_the_error_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(BackendUnavailableError, match="CuPy cannot be imported") as caught:
        CupyBackend()
    extras = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    for requirement in (*extras["cuda12"], *extras["cuda13"]):
        assert f"'{requirement}'" in caught.value.hint  # what the extras of a checkout install, under its own name


def gpu_or_reason() -> CupyBackend | str:
    try:
        return CupyBackend()
    except BackendUnavailableError as error:
        return error.reason


def test_without_a_gpu_the_error_gives_the_reason_and_a_hint() -> None:
    cupy = pytest.importorskip("cupy", reason="CuPy is not installed")
    try:
        present = cupy.cuda.runtime.getDeviceCount() > 0
    except cupy.cuda.runtime.CUDARuntimeError:
        present = False
    if present:
        pytest.skip("there is a GPU here")
    with pytest.raises(BackendUnavailableError, match="CUDA") as caught:
        CupyBackend()
    assert "NVIDIA GPU" in caught.value.hint


def test_a_gpu_passes_the_whole_kit() -> None:
    backend = gpu_or_reason()
    if isinstance(backend, str):
        pytest.skip(f"no GPU: {backend}")
    report = check_backend(backend)
    assert report.ok, str(report)
    assert backend.device()
    assert 0 < backend.memory().free <= backend.memory().total


def test_the_package_exports_the_backend_that_the_entry_point_names() -> None:
    assert nnx_cupy.CupyBackend.name == "cupy"
