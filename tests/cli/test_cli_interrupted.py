"""Ctrl-C before a command has begun ends it with one line, as it does later."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from nnx.cli import app

ROOT = Path(__file__).resolve().parents[2]

INTERRUPTED_WHILE = """
import sys


class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            raise KeyboardInterrupt


sys.meta_path.insert(0, Interrupting())
from nnx_command import main
main()
"""


@pytest.mark.parametrize("module", ["nnx", "numpy", "typer", "nnx.cli.predict"])
def test_an_interruption_while_libraries_are_imported_is_one_line(module):
    paths = os.pathsep.join(map(str, (ROOT, ROOT / "backends")))
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED_WHILE.format(module=module), "backends"],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "interrupted\n")


def test_an_interruption_while_options_are_read_is_one_line(monkeypatch, capsys):
    def interrupt(*_args, **_options):
        raise KeyboardInterrupt

    from nnx.cli.usage import Command

    monkeypatch.setattr(Command, "parse_args", interrupt)
    with pytest.raises(SystemExit) as ended:
        app(["backends"], prog_name="nnx")
    assert ended.value.code == 130
    assert capsys.readouterr().err.strip() == "interrupted"


def test_the_command_is_what_is_imported_first():
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert scripts == {"nnx": "nnx_command:main"}
