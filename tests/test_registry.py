"""Finding, selecting and describing backends."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nnx
from nnx import Backend, registry
from nnx.errors import BackendError, BackendUnavailableError, UnknownNameError

ROOT = Path(__file__).resolve().parent.parent
A, B, C = "generic:numpy", "generic:array_api_strict", "one-of-ours"


class FakePoint:
    """An entry point as `importlib.metadata` gives it."""

    def __init__(self, name: str, load: Callable[[], Any]) -> None:
        self.name, self.load = name, load


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Callable[[], Any]], None]:
    """Install plug-ins for one test."""
    points = list(registry.entry_points(group=registry.GROUP))
    monkeypatch.setattr(registry, "_loaded", dict(registry._loaded))
    monkeypatch.setattr(registry, "_registered", dict(registry._registered))

    def entry_points(*, group: str, name: str | None = None) -> list[FakePoint]:
        assert group == "nnx.backends"
        return [point for point in points if name in (None, point.name)]

    monkeypatch.setattr(registry, "entry_points", entry_points)
    return lambda name, load: points.append(FakePoint(name, load))


def ours() -> Backend:
    return Backend.from_namespace(np, C)


def test_numpy_is_the_usual_backend() -> None:
    assert nnx.current_backend().name == "numpy"


def test_each_way_of_selecting_is_stronger_than_the_next(monkeypatch: pytest.MonkeyPatch, install: Any) -> None:
    install(C, lambda: ours)
    monkeypatch.setenv("NNX_BACKEND", A)
    assert nnx.current_backend().name == A
    nnx.set_backend(B)
    assert nnx.current_backend().name == B
    with nnx.use_backend(C) as inner:
        assert nnx.current_backend() is inner
        assert inner.name == C
        nnx.set_backend(A)
        assert nnx.current_backend() is inner
    assert nnx.current_backend().name == A


def test_an_empty_variable_selects_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NNX_BACKEND", "")
    assert nnx.current_backend().name == "numpy"


def test_an_unknown_name_in_the_variable_is_refused_naming_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NNX_BACKEND", "nmpy")
    with pytest.raises(UnknownNameError, match=r"Unknown backend in NNX_BACKEND 'nmpy'. Did you mean 'numpy'\?"):
        nnx.current_backend()


def test_blocks_nest_and_restore_also_after_an_error() -> None:
    with nnx.use_backend(A):
        with pytest.raises(RuntimeError, match="on purpose"), nnx.use_backend(B):
            raise RuntimeError("on purpose")
        assert nnx.current_backend().name == A
        with nnx.use_backend(B), nnx.use_backend(A):
            assert nnx.current_backend().name == A
        assert nnx.current_backend().name == A
    assert nnx.current_backend().name == "numpy"


def test_a_block_of_one_thread_is_not_seen_by_another() -> None:
    seen: list[str] = []
    with nnx.use_backend(A):
        thread = threading.Thread(target=lambda: seen.append(nnx.current_backend().name))
        thread.start()
        thread.join()
    assert seen == ["numpy"]


def test_tasks_that_run_at_once_keep_their_own_selection() -> None:
    async def work(name: str) -> list[str]:
        seen = []
        with nnx.use_backend(name):
            for _ in range(3):
                await asyncio.sleep(0)
                seen.append(nnx.current_backend().name)
        return seen

    async def both() -> list[list[str]]:
        return await asyncio.gather(work(A), work(B))

    assert asyncio.run(both()) == [[A] * 3, [B] * 3]


def test_a_model_keeps_the_backend_it_was_built_on() -> None:
    with nnx.use_backend(A):
        model = nnx.Sequential([nnx.Dense(2)], input_shape=(3,))
    with nnx.use_backend(B):
        model.predict(np.zeros((1, 3)))
        assert model.backend.name == A


def test_a_refused_selection_changes_nothing() -> None:
    nnx.set_backend(A)
    with pytest.raises(UnknownNameError, match=r"Unknown backend 'numbaa'. Did you mean 'numba'\? Known: .*numpy"):
        nnx.set_backend("numbaa")
    with pytest.raises(UnknownNameError), nnx.use_backend("numbaa"):
        pytest.fail("entered the block")
    assert nnx.current_backend().name == A


@pytest.mark.parametrize("value", [3, np, Backend, None])
def test_what_is_no_backend_is_refused(value: Any) -> None:
    with pytest.raises(BackendError, match=r"backend must be a name or an nnx\.Backend, got "):
        nnx.set_backend(value)
    with (
        pytest.raises(BackendError, match=r"backend must be a name or an nnx\.Backend, got "),
        nnx.use_backend(value),
    ):
        pytest.fail("entered the block")


def test_an_unknown_namespace_is_an_unknown_name() -> None:
    with pytest.raises(UnknownNameError, match=r"Unknown backend 'generic:numpi'. Did you mean 'generic:numpy'"):
        nnx.get_backend("generic:numpi")


def test_a_namespace_that_is_not_installed_is_unavailable_with_a_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setattr(registry, "_loaded", {})
    with pytest.raises(BackendUnavailableError) as caught:
        nnx.get_backend("generic:torch")
    assert caught.value.reason == "torch is not installed."
    assert caught.value.hint == "Install the package that provides 'torch'."


def test_a_backend_is_loaded_once_and_only_when_it_is_asked_for(install: Any) -> None:
    loads: list[int] = []

    def load() -> Callable[[], Backend]:
        loads.append(1)
        return ours

    install(C, load)
    assert C in registry.names()
    assert loads == []
    assert nnx.get_backend(C) is nnx.get_backend(C)
    assert loads == [1]


def test_threads_that_ask_at_once_get_the_same_object(install: Any) -> None:
    install(C, lambda: ours)
    gate, got = threading.Barrier(8), []

    def ask() -> None:
        gate.wait()
        got.append(nnx.get_backend(C))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(backend) for backend in got}) == 1


def fails() -> Any:
    raise ImportError("libdevice.so: no such file")


def unavailable() -> Backend:
    raise BackendUnavailableError(C, "No device was found.", "Buy one.")


class Deaf(type(ours())):  # type: ignore[misc]
    """A backend that loads but cannot describe its device."""

    def device(self) -> str:
        raise OSError("driver gone")


@pytest.mark.parametrize(
    ("load", "reason"),
    [
        (fails, "loading it failed with ImportError('libdevice.so: no such file')."),
        (lambda: fails, "loading it failed with ImportError('libdevice.so: no such file')."),
        (lambda: 3, "loading it failed with TypeError(\"'int' object is not callable\")."),
        (lambda: dict, "its entry point made {}, not an nnx.Backend."),
        (lambda: unavailable, "No device was found. Buy one."),
        (lambda: lambda: Deaf(np, C), "asking for its device failed with OSError('driver gone')."),
    ],
)
def test_a_broken_plug_in_is_reported_and_harms_nothing_else(install: Any, load: Any, reason: str) -> None:
    install(C, load)
    infos = {info.name: info for info in nnx.available_backends()}
    assert infos[C] == registry.BackendInfo(C, False, reason, "")
    assert infos["numpy"].available
    assert infos["numpy"].reason == ""
    assert infos["numpy"].device
    nnx.Sequential([nnx.Dense(1)], input_shape=(1,)).predict([[1.0]])


def test_selecting_a_broken_plug_in_says_what_is_wrong_with_it(install: Any) -> None:
    install(C, fails)
    with pytest.raises(
        BackendUnavailableError, match=rf"Backend '{C}' is not available: loading it failed with ImportError"
    ):
        nnx.set_backend(C)


def test_a_model_cannot_be_built_on_nor_moved_to_what_is_not_there_and_stays_as_it_was(install: Any) -> None:
    install(C, lambda: unavailable)
    model = nnx.Sequential([nnx.Dense(1)], input_shape=(1,), backend=A)
    before = model.predict([[1.0]])
    message = f"Backend '{C}' is not available: No device was found. Buy one."
    with pytest.raises(BackendUnavailableError, match=message):
        nnx.Sequential([nnx.Dense(1)], input_shape=(1,), backend=C)
    with pytest.raises(BackendUnavailableError, match=message):
        model.to(C)
    assert model.backend.name == A
    np.testing.assert_array_equal(model.predict([[1.0]]), before)


def test_every_bundled_backend_is_known_whether_it_can_run_or_not() -> None:
    infos = nnx.available_backends()
    assert [info.name for info in infos[:3]] == ["numpy", "numba", "cupy"]
    for info in infos:
        assert info.available == (info.reason == "") == (info.device != "")


@pytest.mark.usefixtures("install")
def test_a_registered_backend_is_found_and_replaced() -> None:
    registry.register(C, ours)
    first = nnx.get_backend(C)
    assert C in registry.names()
    registry.register(C, ours)
    assert nnx.get_backend(C) is not first


def test_a_plain_checkout_without_metadata_finds_the_bundled_backends() -> None:
    code = "import nnx; print(nnx.get_backend('numpy').name, [i.name for i in nnx.available_backends()])"
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    environment["PYTHONPATH"] = str(ROOT)
    hide = "import importlib.metadata as m; m.entry_points = lambda **_: []; "
    result = subprocess.run(
        [sys.executable, "-c", hide + code], env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "numpy ['numpy', 'numba', 'cupy']"


@pytest.mark.parametrize("value", ["numba", "nunba"])
def test_importing_nnx_never_fails_for_a_variable_that_selects_what_is_not_there(value: str) -> None:
    environment = {**os.environ, "NNX_BACKEND": value, "PYTHONPATH": str(ROOT)}
    result = subprocess.run([sys.executable, "-c", "import nnx"], env=environment, capture_output=True, check=False)
    assert result.returncode == 0, result.stderr
