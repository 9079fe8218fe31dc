"""Contenders side by side: one process each, taking turns at the same task, repetition by repetition."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from multiprocessing import Pipe
from typing import Any, Self

from benchmarks import environment, evidence
from benchmarks.kernels.cases import CASES
from benchmarks.workloads import WORKLOADS

PATIENCE = 900.0
"""Seconds after which a silent contender counts as failed; compilers take minutes at worst."""

PAUSE = 0.1
"""Seconds between two turns on several cores: threads that a library leaves spinning sleep by then."""

Tell = Callable[[str], None]


class TurnError(Exception):
    """A contender could not do what it was asked.

    Attributes:
        cannot: whether the library has no such thing, as opposed to having failed at it.
    """

    def __init__(self, message: str, cannot: bool = False) -> None:
        """Keep the contender's own words."""
        super().__init__(message)
        self.cannot = cannot


def kind_of(task: str) -> str:
    """Return "workload" or "kernel"."""
    return "workload" if task in WORKLOADS else "kernel"


class Seat:
    """A contender's process, seen from the contest.

    Attributes:
        description: libraries, versions, and BLAS kernels in use there.
    """

    def __init__(self, name: str, threads: int, device: str) -> None:
        """Start the process; raises TurnError if the contender does not load."""
        self.name = name
        self._pipe, theirs = Pipe()
        self._complaints = tempfile.TemporaryFile("w+")  # noqa: SIM115  closed in `leave`
        command = [sys.executable, "-m", "benchmarks.worker", name, str(threads), device, str(theirs.fileno())]
        self._process = subprocess.Popen(
            command,
            env=environment.clean(threads, device),
            cwd=environment.ROOT,
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=self._complaints,
            stderr=self._complaints,
        )
        theirs.close()
        with ExitStack() as undo:
            undo.callback(self.leave)
            self.description: dict[str, Any] = self._answer()
            undo.pop_all()

    def ask(self, command: str, *arguments: Any) -> Any:
        """Have a command done and return its answer; raises TurnError."""
        try:
            self._pipe.send((command, arguments))
        except OSError as error:
            raise TurnError(self._last_words()) from error
        return self._answer()

    def _answer(self) -> Any:
        try:
            if not self._pipe.poll(PATIENCE):
                self._process.kill()
                raise TurnError(f"silent for {PATIENCE:g} s")
            answer = self._pipe.recv()
        except (EOFError, OSError) as error:
            raise TurnError(self._last_words()) from error
        if not answer[0]:
            raise TurnError(answer[2], cannot=answer[1] == "cannot")
        return answer[1]

    def _last_words(self) -> str:
        self._process.wait()
        self._complaints.seek(0)
        lines = self._complaints.read().strip().splitlines()
        return f"the process ended with code {self._process.returncode}: {lines[-1] if lines else 'no message'}"

    def leave(self) -> None:
        """End the process: it stops when its pipe closes."""
        self._pipe.close()
        try:
            self._process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._complaints.close()


@dataclass
class Result:
    """What came of one task.

    Attributes:
        task: the name of a workload or a kernel case.
        kind: "workload" or "kernel".
        per: what times are per: "step", "epoch" or "call".
        seconds: contender -> seconds of each repetition; those of one index were measured next to each other.
        first_seconds: contender -> seconds of the first repetition, preparation and compilation included.
        evidence: contender -> losses of the short run, or fingerprints of results.
        losses: contender -> mean loss of the last epoch of each timed repetition; for workloads only.
        absent: contender -> why it took no part.
        disputed: contender -> relative distance of its evidence from the others', where beyond tolerance.
    """

    task: str
    kind: str
    per: str
    threads: int
    seconds: dict[str, list[float]] = field(default_factory=dict)
    first_seconds: dict[str, float] = field(default_factory=dict)
    evidence: dict[str, list[float]] = field(default_factory=dict)
    losses: dict[str, list[float]] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
    disputed: dict[str, float] = field(default_factory=dict)


class Contest:
    """Contenders at the table, for one thread count; a context manager that sends them home."""

    def __init__(self, names: Sequence[str], threads: int, device: str, tell: Tell) -> None:
        """Start all processes; those that do not load are kept in `absent` with the reason."""
        self.threads, self.tell = threads, tell
        self.pause = PAUSE if threads > 1 else PAUSE / 10
        self.seats: list[Seat] = []
        self.absent: dict[str, str] = {}
        for name in names:
            try:
                self.seats.append(Seat(name, threads, device))
            except TurnError as error:
                self.absent[name] = str(error)
                tell(f"{name} takes no part: {error}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for seat in self.seats:
            seat.leave()

    def describe(self) -> dict[str, Any]:
        """Return what each contender runs on."""
        return {seat.name: seat.description for seat in self.seats}

    def hold(self, task: str, repetitions: int) -> Result:
        """Let everyone who can do the task, taking turns."""
        kind = kind_of(task)
        per = WORKLOADS[task].per if kind == "workload" else "call"
        result = Result(task, kind, per, self.threads, absent=dict(self.absent))
        self.tell(f"{task}, {self.threads} thread{'s' * (self.threads > 1)}")
        ready = [seat for seat in self.seats if self._open(seat, result)]
        for turn in range(repetitions):
            shift = turn % max(len(ready), 1)  # nobody always follows the same neighbour
            for seat in [*ready[shift:], *ready[:shift]]:
                self._take_turn(seat, result)
        for seat in ready:
            self._attempt(seat, result, "close")
        wanted = WORKLOADS[task].tolerance if kind == "workload" else evidence.tolerance_of(CASES[task])
        result.disputed = evidence.outliers(result.evidence, wanted)
        for name, gap in result.disputed.items():
            self.tell(f"{task}: {name} computed something else, {gap:.1e} from the others")
        return result

    def _open(self, seat: Seat, result: Result) -> bool:
        answer = self._attempt(seat, result, f"open_{result.kind}", result.task)
        if answer is None:
            return False
        result.evidence[seat.name] = answer["evidence"]
        result.first_seconds[seat.name] = answer["first_seconds"]
        result.seconds[seat.name] = []
        return True

    def _take_turn(self, seat: Seat, result: Result) -> None:
        if seat.name in result.absent:
            return
        time.sleep(self.pause)
        answer = self._attempt(seat, result, "repeat")
        if answer is not None:
            result.seconds[seat.name].append(answer["seconds"])
            if "loss" in answer:
                result.losses.setdefault(seat.name, []).append(answer["loss"])

    def _attempt(self, seat: Seat, result: Result, command: str, *arguments: Any) -> Any:
        try:
            return seat.ask(command, *arguments)
        except TurnError as error:
            result.absent[seat.name] = str(error)
            result.seconds.pop(seat.name, None)
            if not error.cannot:
                self.tell(f"{result.task}: {seat.name} failed: {error}")
            return None
