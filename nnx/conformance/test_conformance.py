"""Every check of the kit as a test: pytest --pyargs nnx.conformance --backend NAME --kernel NAME."""

from __future__ import annotations

import pytest

from nnx import registry
from nnx.conformance.report import Check, NonconformanceError
from nnx.conformance.suite import checks
from nnx.errors import BackendUnavailableError, UnknownNameError
from nnx.interface import Backend


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    names = metafunc.config.getoption("--backend", None) or ["numpy"]
    try:
        selected = checks(metafunc.config.getoption("--kernel", None))
        backends = [_load(name) for name in names]
    except UnknownNameError as error:
        raise pytest.UsageError(str(error)) from None
    metafunc.parametrize("backend", backends, ids=names)
    metafunc.parametrize("check", selected, ids=[check.name for check in selected])


def _load(name: str) -> Backend | BackendUnavailableError:
    try:
        return registry.get(name)
    except BackendUnavailableError as error:
        return error


def test_backend_conforms(backend: Backend | BackendUnavailableError, check: Check) -> None:
    if isinstance(backend, BackendUnavailableError):
        pytest.skip(str(backend))
    try:
        check.run(backend)
    except NonconformanceError as error:
        pytest.fail(str(error), pytrace=False)
