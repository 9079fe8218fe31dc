"""One contender in a process of its own: takes commands from a pipe, and blocks between them.

python -m benchmarks.worker NAME THREADS DEVICE DESCRIPTOR
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from benchmarks import environment

AIM = 0.02
"""Seconds that one repetition of a kernel should take, so that the clock and the call do not count."""

WARM = 0.1
"""Seconds of untimed repetitions before the first timed one."""


class Worker:
    """Answers commands; each is a method, with a dictionary for an answer."""

    def __init__(self, name: str, threads: int, device: str) -> None:
        """Load the contender."""
        from benchmarks import contenders

        began = time.perf_counter()
        self.contender = contenders.make(name, threads, device)
        self.loading = time.perf_counter() - began
        self._repeat: Callable[[], dict[str, float]] = dict
        self._close: Callable[[], None] = lambda: None

    def describe(self) -> dict[str, Any]:
        """Name libraries, versions, and the kernels that BLAS runs on here."""
        from benchmarks.machine import blas_kernels

        return {"versions": self.contender.versions(), "blas": blas_kernels(), "loading_seconds": self.loading}

    def open_workload(self, name: str) -> dict[str, Any]:
        """Run the short training that everyone's losses are compared by; then prepare and warm up the long one."""
        from benchmarks.workloads import CHECKED_EPOCHS, WORKLOADS

        workload = WORKLOADS[name]
        data, short_data = workload.data, workload.checked_data
        began = time.perf_counter()
        short = self.contender.trainer(workload, short_data, shuffle=False)
        losses = [short.run(1).loss]
        first = time.perf_counter() - began
        losses += [short.run(1).loss for _ in range(CHECKED_EPOCHS - 1)]
        short.close()
        trainer = self.contender.trainer(workload, data, shuffle=True)
        trainer.run(workload.epochs)

        def repeat() -> dict[str, float]:
            timing = trainer.run(workload.epochs)
            return {"seconds": timing.seconds / workload.units, "loss": timing.loss}

        self._repeat, self._close = repeat, trainer.close
        return {"evidence": losses, "first_seconds": first}

    def open_kernel(self, name: str) -> dict[str, Any]:
        """Prepare a kernel, keep the evidence of what it computed, and find how often to repeat it."""
        from benchmarks.evidence import fingerprint
        from benchmarks.kernels.cases import CASES

        case = CASES[name]
        began = time.perf_counter()
        loop = self.contender.kernel(case)
        loop.run(1)
        first = time.perf_counter() - began
        evidence = fingerprint(case, loop.results())
        times = calibrate(loop.run)

        def repeat() -> dict[str, float]:
            began = time.perf_counter()
            loop.run(times)
            return {"seconds": (time.perf_counter() - began) / times}

        self._repeat, self._close = repeat, lambda: None
        return {"evidence": evidence, "first_seconds": first, "times": times}

    def repeat(self) -> dict[str, float]:
        """Do one repetition of what is open."""
        return self._repeat()

    def close(self) -> dict[str, float]:
        """Let go of what is open, memory included."""
        self._close()
        self._repeat, self._close = dict, lambda: None
        return {}


def calibrate(run: Callable[[int], None]) -> int:
    """Return how often to repeat for `AIM` seconds, after having warmed up."""
    times, spent = 1, 0.0
    while True:
        began = time.perf_counter()
        run(times)
        seconds = time.perf_counter() - began
        spent += seconds
        wanted = max(1, round(times * AIM / max(seconds, 1e-7)))
        if spent >= WARM and (seconds >= AIM / 2 or times == wanted):
            return wanted
        times = min(wanted, 100 * times)


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]


def serve(worker: Worker, pipe: Connection) -> None:
    """Answer commands until the pipe is closed: (True, answer), or (False, kind of error, message)."""
    from benchmarks.contenders.base import CannotExpressError

    while True:
        try:
            command, arguments = pipe.recv()
        except EOFError:
            return
        try:
            pipe.send((True, getattr(worker, command)(*arguments)))
        except CannotExpressError as error:
            pipe.send((False, "cannot", str(error)))
        except Exception as error:  # a contender's failure, of any kind, is a result to report
            pipe.send((False, "failed", _first_line(error)))


def main(name: str, threads: str, device: str, descriptor: str) -> None:
    """Serve one contender."""
    environment.pin(int(threads))
    pipe = Connection(int(descriptor))
    try:
        worker = Worker(name, int(threads), device)
    except Exception as error:  # as in `serve`
        pipe.send((False, "failed", _first_line(error)))
        return
    pipe.send((True, worker.describe()))
    serve(worker, pipe)


if __name__ == "__main__":
    main(*sys.argv[1:])
