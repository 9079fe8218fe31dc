"""What is in the packages that others install."""

from __future__ import annotations

import tarfile
import zipfile
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = {"nnx": ROOT / "nnx", **{path.name: path for path in sorted((ROOT / "backends").glob("nnx_*"))}}
PARTS_OF_PACKAGES = {".py", ".cu", ".cuh", ".typed"}
SOURCES = {"nnx", "backends", "tests", "benchmarks", "data", "docs", ".mkdocs"}
TEXTS = {"README.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "CITATION.cff", "pyproject.toml", "PKG-INFO"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> list[PurePosixPath]:
    builders = pytest.importorskip("hatchling.builders.wheel", reason="building a wheel needs hatchling")
    (built,) = builders.WheelBuilder(str(ROOT)).build(directory=str(tmp_path_factory.mktemp("wheel")))
    with zipfile.ZipFile(built) as archive:
        return [PurePosixPath(name) for name in archive.namelist()]


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> list[PurePosixPath]:
    builders = pytest.importorskip("hatchling.builders.sdist", reason="building an sdist needs hatchling")
    (built,) = builders.SdistBuilder(str(ROOT)).build(directory=str(tmp_path_factory.mktemp("sdist")))
    with tarfile.open(built) as archive:
        return [PurePosixPath(*PurePosixPath(name).parts[1:]) for name in archive.getnames()]


def sources_of_packages() -> set[PurePosixPath]:
    return {
        PurePosixPath(name, path.relative_to(folder).as_posix())
        for name, folder in PACKAGES.items()
        for path in folder.rglob("*")
        if path.suffix in PARTS_OF_PACKAGES
    }


def test_the_wheel_holds_the_packages_and_the_digits_and_nothing_else(wheel: list[PurePosixPath]) -> None:
    packed = {path for path in wheel if not path.parts[0].endswith(".dist-info")}
    assert packed == sources_of_packages() | {PurePosixPath("nnx/data/digits.h5")}
    assert any(path.parts[-2:] == ("licenses", "LICENSE") for path in wheel)


def test_the_sdist_holds_what_builds_tests_and_documents_nnx_and_nothing_else(sdist: list[PurePosixPath]) -> None:
    tops = {path.parts[0] for path in sdist}
    assert tops == SOURCES | TEXTS | {".gitignore"}
    assert {path.relative_to(ROOT).as_posix() for path in (ROOT / "tests").rglob("*.py")} <= set(map(str, sdist))
    leftovers = {"__pycache__", "site", "runs", ".pytest_cache", ".mypy_cache"}
    assert not [path for path in sdist if leftovers & set(path.parts)]


def test_the_sdist_has_what_the_wheel_is_built_from(sdist: list[PurePosixPath]) -> None:
    places = {"nnx": "nnx", **{name: f"backends/{name}" for name in PACKAGES if name != "nnx"}}
    needed = {PurePosixPath(places[path.parts[0]], *path.parts[1:]) for path in sources_of_packages()}
    assert needed | {PurePosixPath("data/digits.h5"), PurePosixPath("data/build_hook.py")} <= set(sdist)
