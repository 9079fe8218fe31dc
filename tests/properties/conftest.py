"""Laws are tried on the engines that have kernels of their own; the generic ones run the reference's."""

from __future__ import annotations

import pytest

from nnx import Backend, registry
from tests.properties.engines import ENGINES


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run on the backends asked for by --backend, or on those of ENGINES that are usable here."""
    if "engine_name" in metafunc.fixturenames:
        chosen = metafunc.config.getoption("--backend")
        usable = [name for name in ENGINES if registry.describe(name).available]
        metafunc.parametrize("engine_name", chosen or usable)


@pytest.fixture
def engine(engine_name: str) -> Backend:
    """Every engine in turn."""
    return registry.get(engine_name)
