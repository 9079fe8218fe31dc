"""The documentation is built without a warning, and its pages load nothing from elsewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOADED = re.compile(r"""<(?:script|link|img|iframe|source)\b[^>]*?(?:src|href)=["']?(https?:[^"'\s>]+)""")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    for library in ("material", "mkdocstrings", "latex2mathml"):
        pytest.importorskip(library, reason="building the documentation needs the extra docs")
    folder = tmp_path_factory.mktemp("site")
    command = [
        sys.executable,
        "-m",
        "mkdocs",
        "build",
        "--strict",
        "-f",
        ".mkdocs/mkdocs.yml",
        "--site-dir",
        str(folder),
    ]
    surroundings = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "backends")])}
    done = subprocess.run(command, cwd=ROOT, env=surroundings, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def test_no_page_loads_anything_from_elsewhere(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert pages
    found = {(page.name, address) for page in pages for address in LOADED.findall(page.read_text(encoding="utf-8"))}
    assert found == set()


def test_formulas_are_made_into_mathml(site: Path) -> None:
    page = (site / "tutorial/logistic-regression/index.html").read_text(encoding="utf-8")
    assert "<math" in page
    assert "arithmatex" not in page
