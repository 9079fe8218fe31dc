"""Every check of the kit as a test: pytest --pyargs nnx.conformance --backend NAME."""

from __future__ import annotations

import pytest

from nnx.conformance.report import Check, NonconformanceError
from nnx.interface import Backend


def test_backend_conforms(check: Check, backend: Backend) -> None:
    try:
        check.run(backend)
    except NonconformanceError as error:
        pytest.fail(str(error), pytrace=False)
