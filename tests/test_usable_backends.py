"""Which backends the tests with the `backend` fixture run on; one that cannot run here is a visible skip."""

from __future__ import annotations

import pytest
from support.backends import BACKENDS

from nnx import registry


@pytest.mark.parametrize("name", BACKENDS)
def test_the_shared_tests_run_on_this_backend(name: str) -> None:
    info = registry.describe(name)
    if not info.available:
        pytest.skip(f"no shared test runs on {name!r}: {info.reason}")
    assert registry.get(name).name == name
