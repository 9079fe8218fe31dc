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
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.fuzz.cases import READ, REFUSED, outcome

SECONDS, MEMORY = 5, 1 << 30
"""What one case may take: time of the processor, so that a busy machine changes nothing, and bytes."""

_PATIENCE = 60.0
"""Seconds without a word after which a case counts as waiting for something."""
_ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Tally:
    """What came of the cases of one reader.

    Attributes:
        outcomes: how many were read, refused, or findings.
        findings: what was wrong, by seed.
    """

    outcomes: Counter[str] = field(default_factory=Counter)
    findings: dict[int, str] = field(default_factory=dict)

    def add(self, seed: int, result: str) -> None:
        """Count one case."""
        sound = result in (READ, REFUSED)
        self.outcomes[result if sound else "findings"] += 1
        if not sound:
            self.findings[seed] = result


def fuzz(name: str, seeds: range) -> Tally:
    """Run the cases of these seeds; a process that dies is replaced, and goes on after the case that ended it."""
    tally, left = Tally(), seeds
    while left:
        for seed, result in _results(name, left):
            tally.add(seed, result)
            left = range(seed + 1, seeds.stop)
    return tally


def _results(name: str, seeds: range) -> Iterator[tuple[int, str]]:
    """Yield seed and result of each case that one process came to, the last of which may have ended it."""
    command = [sys.executable, "-m", "tests.fuzz", "--worker", name, str(seeds.start), str(seeds.stop)]
    threads = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    paths = os.pathsep.join(str(_ROOT / part) for part in ("", "tests", "backends"))
    environment = {**os.environ, **threads, "PYTHONPATH": paths, "TERM": "dumb"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=_ROOT, env=environment) as worker:
        seed = seeds.start
        try:
            for line in _lines(worker):
                seed = int(line[0])
                if len(line) == 2:
                    yield seed, line[1]
                    seed += 1
        finally:
            worker.kill()
    if seed < seeds.stop:
        yield seed, _ending(worker.returncode)


def _ending(code: int) -> str:
    if code == -signal.SIGPROF:
        return f"took more than {SECONDS} s"
    if code == -signal.SIGKILL:
        return f"waited for more than {_PATIENCE:.0f} s, or was killed"
    return f"ended the process with {signal.Signals(-code).name if code < 0 else f'code {code}'}"


def _lines(worker: subprocess.Popen[bytes]) -> Iterator[list[str]]:
    """Yield what a worker says: a seed alone when it begins, a seed and a result when it ends."""
    assert worker.stdout is not None
    buffer = b""
    while select.select([worker.stdout], [], [], _PATIENCE)[0]:
        read = os.read(worker.stdout.fileno(), 1 << 16)
        if not read:
            return
        *lines, buffer = (buffer + read).split(b"\n")
        for line in lines:
            yield line.decode(errors="replace").split(" ", 1)


def work(name: str, seeds: Iterable[int]) -> None:
    """Run cases and say on stdout what comes of them; the limits are those of this process."""
    with tempfile.TemporaryDirectory() as folder:
        outcome(name, 0, Path(folder))  # imports, and the whole files, count for no case
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_AS, (_size() + MEMORY, resource.RLIM_INFINITY))
        for seed in seeds:
            os.write(1, f"{seed}\n".encode())
            signal.setitimer(signal.ITIMER_PROF, SECONDS)
            result = outcome(name, seed, Path(folder))
            signal.setitimer(signal.ITIMER_PROF, 0)
            os.write(1, f"{seed} {result}".encode("unicode_escape") + b"\n")


def _size() -> int:
    """Return the bytes of address space that this process has."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
