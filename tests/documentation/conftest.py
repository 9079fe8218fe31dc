"""The site, built once for all tests that look at it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="package")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the built site; building it warns of nothing."""
    for library in ("material", "mkdocstrings", "latex2mathml", "matplotlib"):
        pytest.importorskip(library, reason="building the documentation needs the extra docs")
    folder = tmp_path_factory.mktemp("site")
    options = ["--strict", "-f", ".mkdocs/mkdocs.yml", "--site-dir", str(folder)]
    surroundings = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "backends")])}
    command = [sys.executable, "-m", "mkdocs", "build", *options]
    done = subprocess.run(command, cwd=ROOT, env=surroundings, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder
