"""The pytest plugin that gives `pytest --pyargs nnx.conformance` its options --backend and --kernel.

pytest reads the options of a conftest.py too late where tests are named by --pyargs, so they come from a
plugin. It stays out of every other run, where --backend may mean something else.
"""

from __future__ import annotations

import pytest

PACKAGE = "nnx.conformance"


def pytest_load_initial_conftests(early_config: pytest.Config, args: list[str]) -> None:
    """Add the options if this run is about the kit."""
    if any(str(argument).startswith(PACKAGE) for argument in args):
        early_config.pluginmanager.register(Options(), f"{PACKAGE}.options")


class Options:
    """The options; `test_conformance.py` reads them."""

    def pytest_addoption(self, parser: pytest.Parser) -> None:
        """Declare --backend and --kernel."""
        group = parser.getgroup("nnx")
        backend_help = "nnx backend to check; numpy by default; repeatable"
        group.addoption("--backend", action="append", metavar="NAME", help=backend_help)
        kernel_help = "limit the checks to a kernel; repeatable"
        group.addoption("--kernel", action="append", metavar="NAME", help=kernel_help)
