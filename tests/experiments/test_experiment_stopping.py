"""Experiments that are interrupted or killed leave no process, and a folder to one run at a time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nnx.errors import StorageError
from nnx.experiments.execution.locking import LOCK, alone_in

ENGINE = "generic:numpy"


def test_a_folder_takes_one_run_at_a_time_and_the_dead_hold_no_lock(tmp_path: Path) -> None:
    script = (
        "import sys, time, pathlib; from nnx.experiments.execution.locking import alone_in\n"
        "with alone_in(pathlib.Path(sys.argv[1])): print('in', flush=True); time.sleep(60)"
    )
    path = os.pathsep.join(sys.path)
    other = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert other.stdout is not None
    assert other.stdout.readline() == "in\n"
    with (
        pytest.raises(StorageError, match=r"Another run is writing to .*: wait until it has ended"),
        alone_in(tmp_path),
    ):
        pass
    other.kill()
    other.communicate()
    for _ in range(2):
        with alone_in(tmp_path):
            pass


def test_a_lock_that_cannot_be_opened_is_an_error_and_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / LOCK).mkdir()
    with pytest.raises(StorageError, match="cannot be written: Is a directory"), alone_in(tmp_path):
        pass


SCRIPT = """
import signal

signal.signal(signal.SIGINT, signal.default_int_handler)  # shells start background jobs with it ignored

from support.small_experiments import Toy, experiment
from nnx.cli import main
from nnx.experiments import EXPERIMENTS

EXPERIMENTS["toy"] = experiment({"quick": Toy(1.0), "slow": Toy(2.0, seconds=60.0)})
main()
"""


class Started:
    """A command line in a process group of its own, and all processes that descend from it."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.mark, self.folder = uuid.uuid4().hex, folder
        tests = Path(__file__).parent.parent
        path = os.pathsep.join(map(str, (tests, tests.parent, tests.parent / "backends")))
        self.process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT, "experiment", "run", "toy", "--backend", ENGINE, *arguments],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": path, "DESCENDS_FROM": self.mark},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def family(self) -> set[int]:
        """Return the processes that carry the mark in their environment, whoever their parent is by now."""
        found = set()
        for entry in Path("/proc").glob("[0-9]*/environ"):
            try:
                marked = self.mark.encode() in entry.read_bytes()
            except OSError:
                continue  # it has ended, or is another user's
            if marked:
                found.add(int(entry.parent.name))
        return found

    def wait_for_a_result(self) -> None:
        kept = self.folder / "runs" / "toy" / "runs"
        wait_until(lambda: kept.is_dir() and any(kept.glob("quick*.json")), "a first result")


def wait_until(happened: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < end, f"waited for {what} in vain"
        time.sleep(0.05)


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Callable[..., Started]]:
    if not Path("/proc/self/environ").exists():
        pytest.skip("this system does not tell in /proc which processes descend from which")
    all_started: list[Started] = []

    def start(*arguments: str) -> Started:
        all_started.append(Started(tmp_path, *arguments))
        return all_started[-1]

    yield start
    for one in all_started:
        for process in one.family():
            os.kill(process, signal.SIGKILL)
        one.process.communicate()


@pytest.mark.parametrize(("jobs", "whole_group"), [("2", True), ("2", False), ("1", True)])
def test_an_interrupt_ends_every_process_with_one_line_and_keeps_what_was_finished(
    started: Callable[..., Started], whole_group: bool, jobs: str
) -> None:
    command = started("--jobs", jobs)
    command.wait_for_a_result()
    assert len(command.family()) > (2 if jobs == "2" else 0)
    (os.killpg if whole_group else os.kill)(command.process.pid, signal.SIGINT)
    stdout, stderr = command.process.communicate(timeout=30)
    assert command.process.returncode == 130
    assert stdout == ""
    begun, *others = [line for line in stderr.splitlines() if " left" not in line]
    side = ", 2 at a time" if jobs == "2" else ""
    assert begun == f"toy on {ENGINE}: 6 runs of 2 rows x 3 seeds{side}"
    kept = len(list((command.folder / "runs" / "toy" / "runs").glob("*.json")))
    assert others == [
        f"interrupted: {kept} of 6 runs are kept in 'runs/toy/runs'; the same command goes on with the others"
    ]
    wait_until(lambda: not command.family(), "the processes to end")
    assert list((command.folder / "runs" / "toy").iterdir()) == [command.folder / "runs" / "toy" / "runs"]


def test_processes_end_by_themselves_when_the_command_is_killed(started: Callable[..., Started]) -> None:
    command = started("--jobs", "2")
    command.wait_for_a_result()
    assert len(command.family()) > 2
    command.process.kill()
    command.process.communicate()
    assert command.process.returncode == -signal.SIGKILL
    wait_until(lambda: not command.family(), "the processes to end")
    assert command.family() == set()
