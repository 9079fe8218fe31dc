from collections.abc import Callable

import pytest
from support.small_experiments import Toy, experiment
from typer.testing import CliRunner

from nnx.cli import app
from nnx.experiments import EXPERIMENTS


@pytest.fixture
def run_nnx(tmp_path, monkeypatch) -> Callable[..., object]:
    """Run a command line in an empty folder; the answer has exit_code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")

    def run(*arguments: object) -> object:
        return CliRunner().invoke(app, [str(argument) for argument in arguments], prog_name="nnx")

    return run


@pytest.fixture
def complaint() -> Callable[[object], str]:
    """Return the only line on stderr of a command that a user got wrong."""

    def read(result) -> str:
        assert "Traceback" not in result.stderr
        assert result.stdout == ""
        (line,) = result.stderr.splitlines()
        assert line.startswith("error: ")
        return line

    return read


@pytest.fixture
def offer(monkeypatch):
    """Make an experiment known by the name of "toy"."""

    def known(rows=None, **options):
        toy = experiment(rows or {"first": Toy(1.0), "second": Toy(2.0)}, **options)
        monkeypatch.setitem(EXPERIMENTS, "toy", toy)
        return toy

    return known


@pytest.fixture
def nothing_runs(monkeypatch):
    """Fail where an experiment is run."""
    monkeypatch.setattr(Toy, "run", lambda *_: pytest.fail("it was run before all was checked"))
