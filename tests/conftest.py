"""The `backend` fixture, and a selection of backends that no test leaves changed for the next."""

from __future__ import annotations

import pytest
from support.backends import BACKENDS

from nnx import Backend, registry


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--backend",
        action="append",
        metavar="NAME",
        help=f"run the tests of all backends on this one only; may be repeated (default: {', '.join(BACKENDS)})",
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run on the backends asked for, or on those usable here; `test_usable_backends.py` shows which are not."""
    if "backend_name" in metafunc.fixturenames:
        chosen = metafunc.config.getoption("--backend")
        usable = [name for name in BACKENDS if chosen or registry.describe(name).available]
        metafunc.parametrize("backend_name", chosen or usable)


@pytest.fixture
def backend(backend_name: str) -> Backend:
    """Every backend in turn."""
    return registry.get(backend_name)


@pytest.fixture(autouse=True)
def _selection_restored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NNX_BACKEND", raising=False)
    monkeypatch.setattr(registry, "_process_default", None)
