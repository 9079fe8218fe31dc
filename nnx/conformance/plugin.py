"""The pytest plugin behind `pytest --pyargs nnx.conformance --backend NAME --kernel NAME`.

pytest reads the options of a conftest.py too late where tests are named by `--pyargs`, so they come from a
plugin. It stays out of every other run, where `--backend` may mean something else.
"""

from __future__ import annotations

from typing import Any

import pytest

PACKAGE = "nnx.conformance"


def pytest_load_initial_conftests(early_config: pytest.Config, args: list[str]) -> None:
    """Add the options if this run is about the kit."""
    plugins = early_config.pluginmanager
    if any(str(argument).partition("::")[0].startswith(PACKAGE) for argument in args):
        plugins.register(ConformanceOptions(), f"{PACKAGE}.options")


class ConformanceOptions:
    """The options, and the tests made of them."""

    def pytest_addoption(self, parser: pytest.Parser) -> None:
        """Declare --backend and --kernel."""
        group = parser.getgroup("nnx")
        backend_help = "nnx backend to check; numpy by default; repeatable"
        group.addoption("--backend", action="append", metavar="NAME", help=backend_help)
        kernel_help = "limit the checks to a kernel; repeatable"
        group.addoption("--kernel", action="append", metavar="NAME", help=kernel_help)

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Make one test per backend and check."""
        if not {"check", "backend"} <= set(metafunc.fixturenames):
            return
        from nnx.conformance import checks
        from nnx.errors import UnknownNameError

        try:
            selected = checks(metafunc.config.getoption("--kernel"))
        except UnknownNameError as error:
            raise pytest.UsageError(str(error)) from None
        names = metafunc.config.getoption("--backend") or ["numpy"]
        metafunc.parametrize("backend", names, indirect=True)
        metafunc.parametrize("check", selected, ids=[check.name for check in selected])

    @pytest.fixture(scope="session")
    def backend(self, request: Any) -> Any:
        """The backend of one name; tests of one that cannot run here are skipped with the reason."""
        from nnx import registry
        from nnx.errors import BackendUnavailableError

        try:
            return registry.get(request.param)
        except BackendUnavailableError as error:
            return pytest.skip(str(error))
