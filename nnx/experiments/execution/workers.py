"""Runs in processes side by side, each with its share of the cores; or one after the other in this one.

Threads add nothing to processes that use every core: they only wait for each other. So each process may use as many
threads, of BLAS and of Numba alike, as there are cores for it, and at least one.

An interrupt (Ctrl-C) concerns this process alone, which ends the others; if it is killed, they end by themselves.
"""

from __future__ import annotations

import os
import signal
import threading
import time
import warnings
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, TypeAlias

from nnx.errors import NnxError
from nnx.experiments.experiment import Settings
from nnx.experiments.result import Result
from nnx.machine import cores
from nnx.registry import set_num_threads

_LOOK_AFTER = 0.5
"""Seconds between looks at whether the process that started this one is still there."""


@dataclass(frozen=True)
class Call:
    """One run, as it is sent to a process: its number, and what to run."""

    number: int
    settings: Settings
    seed: int
    backend: str


@dataclass(frozen=True)
class Failure:
    """A run that came to no result, and why, in a sentence."""

    why: str


Outcomes: TypeAlias = Generator[tuple[int, Result | Failure], None, None]
"""The numbers of runs, and what came of each."""


class WorkerError(NnxError, RuntimeError):
    """A process that was to run something has vanished."""


def threads_of(jobs: int) -> int:
    """Return how many threads each of so many runs has that go side by side."""
    return max(cores() // jobs, 1)


def run_all(calls: Sequence[Call], jobs: int) -> Outcomes:
    """Yield the number of each run and what came of it, in the order in which they end.

    Args:
        calls: what to run, in this order.
        jobs: runs at a time, each in a process of its own; 1 runs in this one.

    Raises:
        WorkerError: the system has killed a process.
    """
    return _run_in_processes(calls, jobs) if jobs > 1 and calls else _run_here(calls)


def attempt(call: Call) -> Result | Failure:
    """Run once; an error that has a sentence for people becomes a failure, which can be sent to any process."""
    try:
        return replace(call.settings.run(call.seed, call.backend), seed=call.seed)
    except NnxError as error:
        return Failure(str(error))
    except MemoryError:
        return Failure("There is not enough memory for it.")


def _run_here(calls: Sequence[Call]) -> Outcomes:
    for call in calls:
        set_num_threads(threads_of(1))
        yield call.number, attempt(call)


def _run_in_processes(calls: Sequence[Call], jobs: int) -> Outcomes:
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    outcomes = _start(calls, jobs)
    try:
        # not `yield from`, which would hand a close on to joblib before what stands below
        while (outcome := next(outcomes, None)) is not None:
            yield outcome
    except TerminatedWorkerError as error:
        raise WorkerError(
            "A process that ran an experiment has ended without a word; most often the system kills it because the "
            "memory is used up. What was finished is kept: run the same command again to go on, with a smaller "
            f"--jobs than {jobs}."
        ) from error
    finally:
        with _deaf(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # joblib warns that runs were cancelled, which is what is wanted here
            outcomes.close()


def _start(calls: Sequence[Call], jobs: int) -> Outcomes:
    """Start the processes, and return what yields the outcomes."""
    from joblib import Parallel, delayed, parallel_config

    threads, processes = threads_of(jobs), max(min(jobs, len(calls)), 2)  # of one, joblib would make none
    with parallel_config("loky", inner_max_num_threads=threads):
        # A batch is one run: what has ended is to be kept at once, and to wait for nothing.
        parallel = Parallel(processes, return_as="generator_unordered", batch_size=1)
    with _deaf():
        outcomes: Outcomes = parallel(delayed(_work)(call, threads, os.getpid()) for call in calls)
    return outcomes


def _work(call: Call, threads: int, parent: int) -> tuple[int, Result | Failure]:
    """Run once in a process of its own, or in this one where joblib finds that it cannot start any."""
    if os.getpid() == parent:
        set_num_threads(threads)
    else:
        _settle(threads, parent)
    return call.number, attempt(call)


@cache
def _settle(threads: int, parent: int) -> None:
    """Prepare this process, once."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # where processes are not started deaf, or were started later
    set_num_threads(threads)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    """End this process soon after its parent: one that was killed could not tell it to."""
    while os.getppid() == parent:
        time.sleep(_LOOK_AFTER)
    os._exit(1)


@contextmanager
def _deaf() -> Iterator[None]:
    """Ignore Ctrl-C, and have the processes that are started ignore it for ever: it is sent to all of a group.

    Without it, one that has not come to its first run yet would end with a traceback of its own.
    """
    if threading.current_thread() is not threading.main_thread():  # interrupts come to the main thread alone
        yield
        return
    before: Any = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
