"""The backend that docs/guides/writing-a-backend.md shows is one that works, in the kit and as an entry point."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import numpy as np
import pytest

import nnx
from nnx import registry
from nnx.conformance import check_backend
from tests.documentation.pages import DOCS

PAGE = DOCS / "guides" / "writing-a-backend.md"
LINES = 30


def code(language: str) -> str:
    """Return the first block; the one of Python is the backend."""
    found = re.search(rf"```{language}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    return found[1]


@pytest.fixture
def example() -> type[nnx.Backend]:
    names: dict[str, Any] = {"__name__": "example_package"}
    exec(compile(code("python"), str(PAGE), "exec"), names)
    backend: type[nnx.Backend] = names["ExampleBackend"]
    return backend


def test_the_example_is_as_short_as_promised() -> None:
    written = [line for line in code("python").splitlines() if line.strip()]
    assert len(written) <= LINES


@pytest.mark.parametrize("subject", ["arrays", "softmax", "adam", "take_rows", "training"])
def test_the_example_passes_the_conformance_kit(example: type[nnx.Backend], subject: str) -> None:
    report = check_backend(example(), kernels=[subject])
    assert report.passed > 0
    assert not report.failures


def test_the_example_overrides_what_it_says(example: type[nnx.Backend]) -> None:
    assert example.softmax is not nnx.Backend.softmax
    assert example.matmul is nnx.Backend.matmul


def test_the_example_can_be_registered(example: type[nnx.Backend], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_registered", {})
    monkeypatch.setattr(registry, "_loaded", {})
    registry.register("example", example)
    with nnx.use_backend("example"):
        backend = nnx.current_backend()
    assert backend.name == "example"
    y = backend.empty((1, 2), "float32")
    backend.softmax(backend.asarray(np.zeros((1, 2)), "float32"), y)
    np.testing.assert_array_equal(backend.to_numpy(y), [[0.5, 0.5]])


def test_the_entry_point_names_the_example() -> None:
    group = tomllib.loads(code("toml"))["project"]["entry-points"][registry.GROUP]
    assert group == {"example": "example_package:ExampleBackend"}
