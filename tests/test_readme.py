"""What README.md shows is what happens."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nnx import registry
from nnx.cli import app
from nnx.examples import EXAMPLES
from nnx.experiments import EXPERIMENTS

README = Path(__file__).parent.parent / "README.md"
LEAST_ACCURACY = 0.9
"""Of every network in it; which one reaches more depends on rounding."""


def blocks(language: str) -> list[str]:
    found = re.findall(rf"```{language}\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    return [str(block) for block in found]


def commands() -> Iterator[list[str]]:
    """Yield the words of every command line of nnx."""
    for block in (*blocks("sh"), *blocks("console")):
        for line in block.splitlines():
            for part in line.removeprefix("$ ").split(" && "):
                if part.startswith("nnx "):
                    yield shlex.split(part, comments=True)[1:]


@pytest.mark.parametrize("code", blocks("python"), ids=lambda code: f"{len(code)} characters")
def test_every_program_runs_as_written_and_its_network_learns(
    code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    numba = registry.describe("numba")
    if "numba" in code and not numba.available:
        pytest.skip(numba.reason)
    if "distributed" in code:
        pytest.importorskip("mpi4py", reason="training on several processes needs mpi4py")
    monkeypatch.chdir(tmp_path)  # one of them saves its model
    exec(compile(code, str(README), "exec"), {"__name__": "__main__"})
    (measured,) = re.findall(r"'accuracy': ([\d.e-]+)", capsys.readouterr().out)
    assert float(measured) > LEAST_ACCURACY


@pytest.mark.parametrize("words", list(commands()), ids=" ".join)
def test_every_command_line_names_options_that_exist(words: list[str]) -> None:
    depth = 2 if words[0] in ("data", "example", "experiment") else 1
    command, rest = words[:depth], words[depth:]
    shown = CliRunner().invoke(app, [*command, "--help"], prog_name="nnx", env={"COLUMNS": "200"})
    assert shown.exit_code == 0
    for option in (word for word in rest if word.startswith("--")):
        assert option in shown.stdout
    if command == ["example", "run"]:
        assert rest[0] in EXAMPLES
    if command == ["experiment", "run"]:
        assert rest[0] in EXPERIMENTS
