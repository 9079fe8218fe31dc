"""The `backend` fixture, and a selection of backends that no test leaves changed for the next."""

from __future__ import annotations

import pytest

from nnx import Backend, registry

BACKENDS = ("numpy", "numba", "generic:array_api_strict", "cupy")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--backend",
        action="append",
        metavar="NAME",
        help=f"run the tests of all backends on this one only; may be repeated (default: {', '.join(BACKENDS)})",
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "backend_name" in metafunc.fixturenames:
        metafunc.parametrize("backend_name", metafunc.config.getoption("--backend") or BACKENDS)


@pytest.fixture
def backend(backend_name: str) -> Backend:
    """Every backend in turn; one that cannot run here is skipped with its reason."""
    info = registry.describe(backend_name)
    if not info.available:
        pytest.skip(f"backend {backend_name!r}: {info.reason}")
    return registry.get(backend_name)


@pytest.fixture(autouse=True)
def _selection_restored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NNX_BACKEND", raising=False)
    monkeypatch.setattr(registry, "_process_default", None)
