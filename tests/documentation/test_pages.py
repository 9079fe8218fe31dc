"""What the documentation shows is what happens."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nnx import registry
from nnx.cli import app
from tests.documentation.comparing import differences
from tests.documentation.pages import DOCS, blocks_of, pages, pictures_of, shells, shown_only, words_of
from tests.documentation.running import printed_by

OPTION = re.compile(r"(?<![\w-])--\w[\w-]*")


def name_of(page: Path) -> str:
    return page.relative_to(DOCS).as_posix()


PROGRAMS = [page for page in pages() if blocks_of(page.read_text(encoding="utf-8"))]


def needs(text: str) -> None:
    """Skip what cannot run here."""
    numba = registry.describe("numba")
    if "numba" in text and not numba.available:
        pytest.skip(numba.reason)
    marks = {"mpi4py": "distributed=True", "safetensors": "save_weights", "onnxruntime": "onnxruntime"}
    for library, mark in {"sklearn": "sklearn", "onnx": "onnx", **marks}.items():
        if any(mark in block.code for block in blocks_of(text)):
            pytest.importorskip(library, reason=f"the page's program needs {library}")


@pytest.mark.parametrize("page", PROGRAMS, ids=name_of)
def test_the_program_of_a_page_prints_what_the_page_shows_and_writes_its_pictures(
    page: Path, tmp_path: Path
) -> None:
    text = page.read_text(encoding="utf-8")
    needs(text)
    printed = printed_by(page, tmp_path)
    for block, found in zip(blocks_of(text), printed, strict=True):
        if block.printed is not None:
            assert words_of(found) == words_of(block.printed)
            assert differences(found, block.printed) == []
    written = {path.name for path in tmp_path.iterdir()}
    assert set(pictures_of(text)) <= written


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_the_pictures_of_a_page_are_there_and_what_is_only_shown_is_python(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert all((page.parent / "images" / name).is_file() for name in pictures_of(text))
    for code in shown_only(text):
        assert compile(code, name_of(page), "exec")


def commands(page: Path) -> list[list[str]]:
    """Return the words of every command line of nnx on a page."""
    lines = [
        line.removeprefix("$ ") for block in shells(page.read_text(encoding="utf-8")) for line in block.splitlines()
    ]
    parts = [part.strip() for line in lines for part in line.split(" && ")]
    return [shlex.split(part, comments=True)[1:] for part in parts if part.startswith("nnx ")]


@pytest.mark.parametrize("page", [page for page in pages() if commands(page)], ids=name_of)
def test_the_command_lines_of_a_page_name_options_that_exist(page: Path) -> None:
    for words in commands(page):
        depth = 2 if words[0] in ("data", "example", "experiment") else 1
        shown = CliRunner().invoke(app, [*words[:depth], "--help"], prog_name="nnx", env={"COLUMNS": "200"})
        assert shown.exit_code == 0, words
        given = {word.partition("=")[0] for word in words[depth:] if word.startswith("--")}
        assert given <= set(OPTION.findall(shown.stdout)), words


def test_every_command_stands_on_the_page_of_commands() -> None:
    text = (DOCS / "guides/command-line.md").read_text(encoding="utf-8")
    shown = CliRunner().invoke(app, ["--help"], prog_name="nnx", env={"COLUMNS": "200"}).stdout
    names = re.findall(r"^│ (\w+)  ", shown.partition("Commands")[2], re.MULTILINE)
    assert "train" in names
    assert [name for name in names if f"\n## nnx {name}\n" not in text] == []
