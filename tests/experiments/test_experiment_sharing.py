"""How runs share cores, threads and memory."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from support.small_experiments import Threads, Toy, experiment

import nnx
from nnx.experiments import Experiment
from nnx.experiments.execution import running
from nnx.experiments.execution.keeping import Kept
from nnx.experiments.execution.running import Plan, carry_out, default_jobs, device_of, make_plan, rows_on
from nnx.interface import Memory
from nnx.machine import cores

ENGINE = "generic:numpy"


@pytest.fixture
def plan(tmp_path: Path) -> Callable[..., Plan]:
    """Plan an experiment whose results are kept in the test's own folder."""

    def make(what: Experiment, seeds: int = 3) -> Plan:
        return make_plan(what, rows_on(what, ENGINE), ENGINE, seeds, Kept(tmp_path))

    return make


@pytest.mark.parametrize("engine", ["numpy", "numba"])
def test_processes_share_the_cores_among_their_threads(tmp_path: Path, engine: str) -> None:
    if not nnx.registry.describe(engine).available:
        pytest.skip(f"{engine} is not available here")
    toy = experiment({"threads": Threads()})
    jobs = max(cores(), 2)
    plan = make_plan(toy, toy.rows, engine, jobs, Kept(tmp_path))
    outcome = carry_out(plan, jobs)
    assert [dict(result.figures) for result in outcome.results["threads"]] == [{"score": 1, "alone": True}] * jobs


def test_one_job_runs_here_with_all_cores_whatever_was_set_before(plan: Callable, tmp_path: Path) -> None:
    nnx.set_num_threads(1)
    toy = experiment({"here": Toy(log=str(tmp_path / "log")), "threads": Threads()})
    outcome = carry_out(plan(toy, 1), 1)
    assert (tmp_path / "log").read_text().splitlines() == [str(os.getpid())]
    assert outcome.results["threads"][0].figures["score"] == cores()
    assert {(done.jobs, done.threads) for done in outcome.done} == {(1, cores())}


def test_the_last_run_of_several_jobs_has_no_more_threads_than_the_others(plan: Callable, tmp_path: Path) -> None:
    log = tmp_path / "log"
    toy = experiment({"there": Toy(log=str(log)), "threads": Threads()})
    carry_out(plan(dataclasses.replace(toy, rows=toy.rows[:1]), 1), 1)
    jobs = max(cores(), 2)
    outcome = carry_out(plan(toy, 1), jobs)
    assert len(log.read_text().splitlines()) == 1  # only the other one was missing
    assert outcome.results["threads"][0].figures["score"] == 1
    assert [(done.jobs, done.threads) for done in outcome.done] == [(1, cores()), (jobs, 1)]


def test_other_threads_do_not_make_a_kept_result_stale(plan: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    toy = experiment({"first": Toy()})
    monkeypatch.setattr(nnx.get_backend(ENGINE), "device", lambda: "CPU, 2 threads, fast")
    carry_out(plan(toy), 1)
    monkeypatch.setattr(nnx.get_backend(ENGINE), "device", lambda: "CPU, 1 thread, fast")
    assert plan(toy).missing == 0
    assert device_of(ENGINE) == "CPU, fast"


def test_default_jobs_are_one_for_each_core_unless_times_are_measured_or_arrays_lie_elsewhere() -> None:
    class Elsewhere(type(nnx.get_backend("numpy"))):  # type: ignore[misc]  # whichever class numpy's is
        on_host = False

    toy = experiment({"a": Toy()})
    assert default_jobs(toy, nnx.get_backend("numpy")) == cores()
    assert default_jobs(dataclasses.replace(toy, alone=True), nnx.get_backend("numpy")) == 1
    assert default_jobs(toy, Elsewhere()) == 1


@pytest.mark.parametrize(
    ("dataset", "free", "jobs"),
    [
        ("mnist", None, 64),
        ("mnist", 0, 1),
        ("mnist", 2**36, 43),
        ("mnist", 5 * 2**30, 3),
        ("mnist", 2**20, 1),
        (None, 5 * 2**30, 20),
    ],
)
def test_default_jobs_are_as_many_as_there_is_memory_for(
    monkeypatch: pytest.MonkeyPatch, dataset: str | None, free: int | None, jobs: int
) -> None:
    monkeypatch.setattr(running, "cores", lambda: 64)
    monkeypatch.setattr(nnx.get_backend("numpy"), "memory", lambda: Memory(free, 2**40))
    toy = dataclasses.replace(experiment({"a": Toy()}), dataset=dataset)
    assert default_jobs(toy, nnx.get_backend("numpy")) == jobs
