"""Runs of experiments: in one process or several, stopped and gone on with, failed and killed."""

from __future__ import annotations

import dataclasses
import math
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.small_experiments import Killed, Refused, Threads, Toy, experiment

import nnx
from nnx.errors import OptionError, StorageError
from nnx.experiments import Experiment, Row
from nnx.experiments.execution.keeping import Kept
from nnx.experiments.execution.running import (
    ExperimentError,
    Outcome,
    Plan,
    carry_out,
    default_jobs,
    make_plan,
    rows_on,
)
from nnx.experiments.execution.workers import WorkerError
from nnx.machine import cores

ENGINE = "generic:numpy"


@pytest.fixture
def plan(tmp_path: Path) -> Callable[..., Plan]:
    """Plan an experiment whose results are kept in the test's own folder."""

    def make(what: Experiment, seeds: int = 3) -> Plan:
        return make_plan(what, rows_on(what, ENGINE), ENGINE, seeds, Kept(tmp_path))

    return make


def scores(outcome: Outcome) -> dict[str, list[float]]:
    return {name: [result.figures["score"] for result in found] for name, found in outcome.results.items()}


@pytest.mark.parametrize("jobs", [1, 2])
def test_results_stand_in_the_order_of_rows_and_seeds_however_they_arrive(plan: Callable, jobs: int) -> None:
    slow_first = experiment({"slow": Toy(10.0, seconds=0.05), "quick": Toy(20.0)})
    ended = []
    outcome = carry_out(plan(slow_first), jobs, lambda run: ended.append((run.row.name, run.seed)))
    assert scores(outcome) == {"slow": [10.0, 11.0, 12.0], "quick": [20.0, 21.0, 22.0]}
    assert list(outcome.results) == ["slow", "quick"]
    assert outcome.failures == ()
    assert sorted(ended) == [(name, seed) for name in ("quick", "slow") for seed in range(3)]
    last = outcome.results["slow"][2]
    assert last.arrays["weights"].tolist() == [[2.0] * 3] * 2
    assert math.isnan(last.curves["cost"].values[0])


def test_what_was_kept_is_not_run_again_and_what_changed_is(plan: Callable, tmp_path: Path) -> None:
    log = tmp_path / "log"
    toy = experiment({"first": Toy(1.0, log=str(log)), "second": Toy(2.0, log=str(log))})
    carry_out(plan(toy, 2), 1)
    assert len(log.read_text().splitlines()) == 4

    more = plan(toy, 3)
    assert more.missing == 2
    outcome = carry_out(more, 1)
    assert len(log.read_text().splitlines()) == 6
    assert scores(outcome) == {"first": [1.0, 2.0, 3.0], "second": [2.0, 3.0, 4.0]}

    changed = dataclasses.replace(toy, rows=(Row("first", Toy(5.0, log=str(log))), toy.rows[1]))
    assert [found is None for found in plan(changed, 2).found] == [True, False, True, False]
    assert scores(carry_out(plan(changed, 2), 1))["first"] == [5.0, 6.0]
    assert plan(changed, 2).missing == 0
    assert plan(dataclasses.replace(toy, name="another"), 2).missing == 4


def test_an_upgrade_or_another_device_makes_kept_results_stale(
    plan: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy = experiment({"first": Toy()})
    carry_out(plan(toy), 1)
    assert plan(toy).missing == 0
    with monkeypatch.context() as patch:
        patch.setattr(nnx.experiments.execution.running, "__version__", "99.0")
        assert plan(toy).missing == 3
    with monkeypatch.context() as patch:
        patch.setattr(nnx.get_backend(ENGINE), "device", lambda: "another machine")
        assert plan(toy).missing == 3
    assert plan(dataclasses.replace(toy, dataset="digits")).missing == 3


def test_a_damaged_file_is_run_again(plan: Callable) -> None:
    toy = experiment({"first": Toy(1.0)})
    first = plan(toy)
    carry_out(first, 1)
    first.kept.path(first.runs[1].key).write_text("{")
    again = plan(toy)
    assert again.missing == 1
    assert scores(carry_out(again, 1)) == {"first": [1.0, 2.0, 3.0]}
    assert plan(toy).missing == 0


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_run_that_diverges_is_named_and_the_others_count(plan: Callable, jobs: int) -> None:
    toy = experiment({"good": Toy(1.0), "bad": Toy(2.0, failing=(1,))})
    outcome = carry_out(plan(toy), jobs)
    assert scores(outcome) == {"good": [1.0, 2.0, 3.0], "bad": [2.0, 4.0]}
    assert outcome.failures == ("bad, seed 1: The loss became nan in epoch 2.",)
    assert plan(toy).missing == 1
    for each in (outcome, carry_out(plan(toy), jobs)):  # the second time most of them come from their files
        seeds = {name: [result.seed for result in found] for name, found in each.results.items()}
        assert seeds == {"good": [0, 1, 2], "bad": [0, 2]}


def test_a_row_of_which_nothing_is_left_is_an_error_but_the_rest_is_kept(plan: Callable) -> None:
    toy = experiment({"good": Toy(), "bad": Toy(failing=(0, 1, 2))})
    with pytest.raises(
        ExperimentError, match=r"Every run of 'bad' failed.* is kept. bad, seed 0: The loss became nan"
    ):
        carry_out(plan(toy), 1)
    assert plan(toy).missing == 3


def test_an_error_that_cannot_be_sent_between_processes_is_still_a_sentence(plan: Callable) -> None:
    outcome = carry_out(plan(experiment({"a": Toy()})), 2)
    assert len(outcome.results["a"]) == 3
    with pytest.raises(ExperimentError, match=r"a, seed 0: Unknown activation 'rely'. Did you mean 'relu'"):
        carry_out(plan(experiment({"a": Refused()})), 2)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system kills processes in another way")
def test_a_worker_that_the_system_kills_is_one_sentence_that_says_what_to_do(plan: Callable) -> None:
    with pytest.raises(WorkerError, match=r"the memory is used up. .* with a smaller --jobs than 2") as caught:
        carry_out(plan(experiment({"doomed": Killed()})), 2)
    assert "\n" not in str(caught.value)
    assert len(carry_out(plan(experiment({"fine": Toy()})), 2).results["fine"]) == 3  # new processes come


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_full_disk_ends_the_runs_with_one_sentence(
    plan: Callable, monkeypatch: pytest.MonkeyPatch, jobs: int
) -> None:
    def full(*_: object) -> None:
        raise StorageError("No space left on device")

    monkeypatch.setattr(Kept, "keep", full)
    before = time.monotonic()
    with pytest.raises(StorageError, match="No space left"):
        carry_out(plan(experiment({"quick": Toy(), "slow": Toy(seconds=30.0)})), jobs)
    assert time.monotonic() - before < 25  # the slow runs were ended, not waited for


@pytest.mark.parametrize("engine", ["numpy", "numba"])
def test_processes_share_the_cores_among_their_threads(tmp_path: Path, engine: str) -> None:
    if not nnx.registry.describe(engine).available:
        pytest.skip(f"{engine} is not available here")
    toy = experiment({"threads": Threads()})
    jobs = max(cores(), 2)
    plan = make_plan(toy, toy.rows, engine, jobs, Kept(tmp_path))
    outcome = carry_out(plan, jobs)
    assert [dict(result.figures) for result in outcome.results["threads"]] == [{"score": 1, "alone": True}] * jobs


def test_one_job_runs_here_and_leaves_the_threads_alone(plan: Callable, tmp_path: Path) -> None:
    before = nnx.get_backend("numpy").device()
    carry_out(plan(experiment({"here": Toy(log=str(tmp_path / "log"))})), 1)
    assert set((tmp_path / "log").read_text().splitlines()) == {str(os.getpid())}
    assert nnx.get_backend("numpy").device() == before


def test_several_jobs_run_elsewhere_but_one_run_needs_no_process(plan: Callable, tmp_path: Path) -> None:
    log = tmp_path / "log"
    toy = experiment({"there": Toy(log=str(log), seconds=0.05)})
    carry_out(plan(toy, 1), 8)
    assert log.read_text().splitlines() == [str(os.getpid())]
    carry_out(plan(toy, 3), 8)
    assert str(os.getpid()) not in log.read_text().splitlines()[1:]


def test_default_jobs_are_one_for_each_core_unless_times_are_measured_or_arrays_lie_elsewhere() -> None:
    class Elsewhere(type(nnx.get_backend("numpy"))):  # type: ignore[misc]  # whichever class numpy's is
        def zeros(self, _shape: tuple[int, ...], _dtype: str) -> object:
            return object()

    toy = experiment({"a": Toy()})
    assert default_jobs(toy, nnx.get_backend("numpy")) == cores()
    assert default_jobs(dataclasses.replace(toy, alone=True), nnx.get_backend("numpy")) == 1
    assert default_jobs(toy, Elsewhere()) == 1


def test_rows_about_engines_run_where_those_are_asked_for_or_here() -> None:
    rows = [Row("loop", Toy()), Row("numpy", Toy(), backend="numpy"), Row("cupy", Toy(), backend="cupy")]
    mixed = experiment(rows)
    here = [row.name for row in rows if row.backend is None or nnx.registry.describe(row.backend).available]
    assert [row.name for row in rows_on(mixed, None)] == here
    assert [row.name for row in rows_on(mixed, "numpy")] == ["loop", "numpy"]
    assert [row.name for row in rows_on(mixed, "numba")] == ["loop"]
    with pytest.raises(OptionError, match=r"--backend must be one of cupy, numpy for toy, .* got 'numba'"):
        rows_on(experiment(rows[1:]), "numba")


SCRIPT = """
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
    assert [line for line in stderr.splitlines() if " left" not in line] == ["interrupted"]
    wait_until(lambda: not command.family(), "the processes to end")
    assert list((command.folder / "runs" / "toy").iterdir()) == [command.folder / "runs" / "toy" / "runs"]


def test_processes_end_by_themselves_when_the_command_is_killed(started: Callable[..., Started]) -> None:
    command = started("--jobs", "2")
    command.wait_for_a_result()
    command.process.kill()
    command.process.communicate()
    wait_until(lambda: not command.family(), "the processes to end")
