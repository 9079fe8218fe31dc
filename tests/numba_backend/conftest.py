"""The backend, and a copy of its package that a test may edit or lock."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import nnx_numba
from nnx.interface import Backend


@pytest.fixture
def backend() -> Backend:
    return nnx_numba.NumbaBackend()


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """Return a folder with a copy of the package that a test may edit or lock."""
    source = Path(nnx_numba.__file__).parent
    shutil.copytree(source, tmp_path / "nnx_numba", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path
