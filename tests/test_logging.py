"""What nnx tells by way of `logging`: when runs begin, end, are kept and gone on with, and what is compiled."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import nnx
from nnx import registry
from nnx.cli import app
from nnx.distributed import Group
from nnx.distributed.fitting import RankTeam
from nnx.interface import Call, Tape


def network(backend: str = "generic:numpy") -> nnx.Sequential:
    model = nnx.Sequential([nnx.Dense(3, "relu"), nnx.Dense(2)], seed=1, backend=backend)
    return model.compile("mean_squared_error")


X, Y = np.ones((20, 4), "float32"), np.zeros((20, 2), "float32")


def messages(caplog: pytest.LogCaptureFixture, level: int = logging.DEBUG) -> list[str]:
    return [f"{record.name}: {record.getMessage()}" for record in caplog.records if record.levelno >= level]


def test_nothing_is_printed_by_a_program_that_does_not_ask() -> None:
    code = """
import logging, numpy, nnx
model = nnx.Sequential([nnx.Dense(1)], backend="generic:numpy").compile("mean_squared_error")
model.fit(numpy.ones((4, 2)), numpy.ones((4, 1)), eager=True)
logging.getLogger("nnx.backends.other").warning("not shown either")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")


def test_the_beginning_and_the_end_of_a_run_are_told(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", "nnx"):
        network().fit(X, Y, epochs=3, batch_size=8)
    begun, ended = messages(caplog)
    assert begun == (
        "nnx.training: training of 23 parameters on generic:numpy begins: 20 examples in batches of 8, 3 epochs"
    )
    assert ended.startswith("nnx.training: training ended after epoch 3 of 3, ")


def test_why_a_run_ended_early_is_told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "nnx")
    stopping = nnx.callbacks.EarlyStopping(patience=1, monitor="loss", min_delta=1e9)
    network().fit(X, Y, epochs=9, callbacks=[stopping])
    assert "loss" in messages(caplog)[-1].partition(" s: ")[2]
    with pytest.raises(nnx.errors.DivergenceError):
        network().fit(X, Y + np.float32(1e30), epochs=2)
    assert messages(caplog)[-1].endswith(" s with DivergenceError")


def test_what_is_kept_and_where_a_run_goes_on_is_told(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    keep = nnx.callbacks.Checkpoint(path)
    network().fit(X, Y, epochs=2, callbacks=[keep])
    with caplog.at_level("INFO", "nnx"):
        network().fit(X, Y, epochs=3, callbacks=[keep], resume=path)
    resumed, _begun, saved, _ended = messages(caplog)
    assert resumed == f"nnx.training: resumed from {path}, after epoch 2 of 3"
    assert saved == f"nnx.training: saved in {path}: the run after epoch 3 of 3"


def test_what_is_recorded_is_told_once_however_many_steps_follow(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", "nnx")
    network().fit(X, Y, epochs=1, batch_size=8)
    few = messages(caplog)
    caplog.clear()
    network().fit(X, Y, epochs=200, batch_size=8)
    assert len(messages(caplog)) == len(few) == 4
    assert ["a step of 8 rows is recorded as" in text for text in few] == [False, True, False, False]
    assert ["a step of 4 rows is recorded as" in text for text in few] == [False, False, True, False]


def test_steps_that_are_not_replayed_are_told(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", "nnx"):
        network().fit(X, Y, epochs=1, eager=True)
    assert any("call by call, as asked for by eager=True" in text for text in messages(caplog))


@pytest.mark.skipif(not registry.describe("numba").available, reason=registry.describe("numba").reason)
def test_numba_tells_which_kernels_were_compiled_or_found(caplog: pytest.LogCaptureFixture) -> None:
    from nnx_numba.entries import Entry

    def count_to_a_number_that_no_other_kernel_counts_to(first: int, last: int) -> None:
        for _ in range(first, last):
            pass

    caplog.set_level("DEBUG", "nnx")
    for _ in range(2):
        Entry("a_kernel_of_this_test", count_to_a_number_that_no_other_kernel_counts_to, ())
    first, second = (text for text in messages(caplog) if "a_kernel_of_this_test" in text)
    assert second.startswith("nnx.backends.numba: kernel a_kernel_of_this_test- found on disk in ")
    assert "compiled in" in first or "found on disk" in first


@pytest.mark.skipif(not registry.describe("numba").available, reason=registry.describe("numba").reason)
def test_numba_tells_which_steps_pass_through_python(caplog: pytest.LogCaptureFixture) -> None:
    from nnx_numba.program import compile_tape

    with caplog.at_level("INFO", "nnx"):
        compile_tape(Tape([Call(print, ())]), lambda _kernel: False)
    assert messages(caplog) == [
        "nnx.backends.numba: 1 of 1 calls of a step have no native form and pass through Python"
    ]


def test_the_place_of_a_rank_among_the_others_is_told(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Comm:
        Get_rank, Get_size = staticmethod(lambda: 1), staticmethod(lambda: 4)

    monkeypatch.setattr(registry, "_num_threads", 2)
    with caplog.at_level("INFO", "nnx"):
        RankTeam(Group(Comm()))
    assert messages(caplog) == ["nnx.distributed.fitting: rank 1 of 4, threads: 2"]


def test_a_command_shows_messages_from_the_level_that_was_asked_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    command = ["train", "digits", "--layers", "4", "--epochs", "1", "--backend", "generic:numpy", "--json"]

    def shown(*level: str) -> str:
        return CliRunner().invoke(app, [*level, *command], prog_name="nnx").stderr

    assert shown() == ""
    assert "INFO nnx.training: training of 310 parameters" in shown("--log-level", "info")
    assert "DEBUG nnx.steps" in shown("--log-level", "debug")
    assert "DEBUG" not in shown("--log-level", "info")
    assert shown() == ""  # nothing is left behind
    wrong = CliRunner().invoke(app, ["--log-level", "loud", *command], prog_name="nnx")
    assert wrong.exit_code == 2
    assert "--log-level must be one of debug, info, warning, error, got 'loud'." in wrong.stderr


def test_warnings_reach_the_user_of_a_command_without_being_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def warn() -> list[str]:
        logging.getLogger("nnx.backends.cupy").warning("Steps are launched one by one.")
        return []

    monkeypatch.setattr("nnx.cli.backends.available_backends", warn)
    shown = CliRunner().invoke(app, ["backends", "--json"], prog_name="nnx")
    assert "WARNING nnx.backends.cupy: Steps are launched one by one." in shown.stderr
    assert shown.stdout == "[]\n"
