"""Cases run in a process of their own, with limits, so that a crash or a hang is a finding and not the end."""

from __future__ import annotations

import os
import resource
import select
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from tests.fuzz.cases import READ, REFUSED, outcome

SECONDS, MEMORY = 5, 1 << 30
"""What one case may take: time of the processor, so that a busy machine changes nothing, and bytes."""

_PATIENCE = 60.0
"""Seconds without a word after which a case counts as waiting for something."""
_ROOT = Path(__file__).resolve().parents[2]


Case: TypeAlias = tuple[str, int]
"""The name of a reader, and a seed."""


@dataclass
class Tally:
    """What came of some cases.

    Attributes:
        outcomes: how many were read, refused, or findings, by reader.
        findings: what was wrong, by case.
    """

    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    findings: dict[Case, str] = field(default_factory=dict)

    def add(self, case: Case, result: str) -> None:
        """Count one case."""
        sound = result in (READ, REFUSED)
        self.outcomes[case[0], result if sound else "findings"] += 1
        if not sound:
            self.findings[case] = result


def fuzz(names: Sequence[str], seeds: range) -> Tally:
    """Run the cases of these readers and seeds.

    A process that dies is replaced by another, which goes on after the case that ended it.
    """
    tally, order, done = Tally(), cases(names, seeds), 0
    while done < len(order):
        for result in _results(names, seeds, done, len(order)):
            tally.add(order[done], result)
            done += 1
    return tally


def cases(names: Sequence[str], seeds: range) -> list[Case]:
    """Return the cases of these readers and seeds in their order."""
    return [(name, seed) for name in names for seed in seeds]


def _results(names: Sequence[str], seeds: range, done: int, end: int) -> Iterator[str]:
    """Yield the result of each case that one process comes to, the last of which may end it."""
    command = [sys.executable, "-m", "tests.fuzz", "--worker", ",".join(names)]
    command += map(str, (seeds.start, seeds.stop, done))
    threads = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    paths = os.pathsep.join(str(_ROOT / part) for part in ("", "tests", "backends"))
    environment = {**os.environ, **threads, "PYTHONPATH": paths}
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=_ROOT, env=environment) as worker:
        try:
            for line in _lines(worker):
                yield line
                done += 1
        finally:
            worker.kill()
    if done < end:
        yield _ending(worker.returncode)


def _ending(code: int) -> str:
    if code == -signal.SIGPROF:
        return f"took more than {SECONDS} s"
    if code == -signal.SIGKILL:
        return f"waited for more than {_PATIENCE:.0f} s, or was killed"
    return f"ended the process with {signal.Signals(-code).name if code < 0 else f'code {code}'}"


def _lines(worker: subprocess.Popen[bytes]) -> Iterator[str]:
    """Yield what a worker says, a line for each case."""
    assert worker.stdout is not None
    buffer = b""
    while select.select([worker.stdout], [], [], _PATIENCE)[0]:
        read = os.read(worker.stdout.fileno(), 1 << 16)
        if not read:
            return
        *lines, buffer = (buffer + read).split(b"\n")
        for line in lines:
            yield line.decode(errors="replace")


def work(names: Sequence[str], seeds: range, done: int) -> None:
    """Run cases and say on stdout what comes of each, a line for each; the limits are those of this process."""
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            outcome(name, 0, Path(folder))  # imports, and the whole files, count for no case
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_AS, (_size() + MEMORY, resource.RLIM_INFINITY))
        for name, seed in cases(names, seeds)[done:]:
            signal.setitimer(signal.ITIMER_PROF, SECONDS)
            result = outcome(name, seed, Path(folder))
            signal.setitimer(signal.ITIMER_PROF, 0)
            os.write(1, result.encode("unicode_escape") + b"\n")


def _size() -> int:
    """Return the bytes of address space that this process has."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
