"""Children that train and are killed: forked from a process that has everything loaded and compiled."""

from __future__ import annotations

import json
import os
import select
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

import nnx
from tests.kills.ledger import Attempt, Ledger, Witness, parts_in
from tests.kills.runs import FILE, Plan, plan

PATIENCE = 120.0
"""Seconds without a word after which a child is taken to hang."""

Line = tuple[str, object]


@dataclass(frozen=True)
class Moment:
    """When a child is killed: so many seconds after its start, or after it began its save of that number."""

    seconds: float
    save: int | None = None


@dataclass(frozen=True)
class Pace:
    """How long things take where nobody interrupts: the whole run, and one save, in seconds; and how many saves."""

    run: float
    save: float
    saves: int


def prepare(network: str) -> None:
    """Load and compile all that children need to train a network, with one thread, so that they may be forked.

    Raises:
        RuntimeError: there are threads, which a fork would leave behind.
    """
    nnx.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(6):  # each backend with each optimizer
            task = replace(plan(network, seed), epochs=1)
            task.train(Path(folder), None if seed else lambda *_: None)
    if len(list(Path("/proc/self/task").iterdir())) > 1:
        raise RuntimeError(
            "children cannot be forked from a process of several threads: set OPENBLAS_NUM_THREADS=1"
        )


def attempt(task: Plan, folder: Path, moment: Moment | None = None, keep: bool = True) -> Attempt:
    """Train in a child, which goes on from the file in the folder, and kill it at that moment if it still runs."""
    before, found = parts_in(folder), Attempt()
    with _child(task, folder, keep) as (process, source):
        for word, value in _lines(source, process, moment):
            _take(found, word, value)
        _, status = os.waitpid(process, 0)
    found.killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL and found.result is None
    found.parts = sorted(parts_in(folder) - before)
    if found.killed and moment is None:
        found.error = f"said nothing for {PATIENCE:.0f} s"
    return found


def _take(found: Attempt, word: str, value: object) -> None:
    setattr(found, word, value)
    if word == "saved":
        found.writing = None


@contextmanager
def _child(task: Plan, folder: Path, keep: bool) -> Iterator[tuple[int, int]]:
    """Yield the number of a child and the end of the pipe on which it speaks."""
    source, sink = os.pipe()
    process = os.fork()
    if process == 0:
        os.close(source)
        _speak(task, folder, keep, sink)
    os.close(sink)
    try:
        yield process, source
    finally:
        os.close(source)


def _speak(task: Plan, folder: Path, keep: bool, sink: int) -> None:
    """Train, and tell of it line by line; does not return."""

    def tell(word: str, value: object) -> None:
        os.write(sink, json.dumps([word, value]).encode() + b"\n")

    try:
        tell("result", task.train(folder, tell if keep else None))
    except BaseException as error:
        tell("error", f"{type(error).__name__}: {error}")
    finally:
        os._exit(0)


def _lines(source: int, process: int, moment: Moment | None) -> Iterator[Line]:
    """Yield what a child says, until it ends; kill it at that moment, or when it has said nothing for long."""
    buffer, writing = b"", 0
    aimed = moment is not None and moment.save is None
    end = time.monotonic() + (moment.seconds if moment is not None and aimed else PATIENCE)
    while True:
        if not select.select([source], [], [], max(end - time.monotonic(), 0))[0]:
            os.kill(process, signal.SIGKILL)
            end = time.monotonic() + PATIENCE  # what it said before is still to be read
            continue
        read = os.read(source, 1 << 16)
        if not read:
            return
        *lines, buffer = (buffer + read).split(b"\n")
        for line in lines:
            word, value = json.loads(line)
            yield word, value
            writing += word == "writing"
            if moment is not None and word == "writing" and writing == moment.save:
                end, aimed = time.monotonic() + moment.seconds, True
        if not aimed:
            end = time.monotonic() + PATIENCE


def measure(task: Plan, folder: Path) -> tuple[Attempt, Pace]:
    """Train without a kill, with the run being kept, and see how long that takes."""
    found, saves, began, writing = Attempt(), list[float](), time.monotonic(), 0.0
    with _child(task, folder, keep=True) as (process, source):
        for word, value in _lines(source, process, None):
            _take(found, word, value)
            if word == "writing":
                writing = time.monotonic()
            elif word == "saved":
                saves.append(time.monotonic() - writing)
        os.waitpid(process, 0)
    return found, Pace(time.monotonic() - began, float(np.median(saves or [0.01])), len(saves))


def draw_moment(random: np.random.Generator, pace: Pace) -> Moment:
    """Return when to kill: a third of all during a save, as far as can be aimed; the others anywhere."""
    if random.random() < 0.35:
        return Moment(random.uniform(0, pace.save), int(random.integers(1, max(pace.saves // 2, 1) + 1)))
    return Moment(random.uniform(0, 0.7 * pace.run))


def kill_runs(network: str, start: int, count: int, ledger: Ledger) -> int:
    """Kill runs of a network, of seeds from `start`, until there were so many kills; return how many runs."""
    seed = start
    while ledger.counts["kills"] < count:
        with tempfile.TemporaryDirectory() as folder:
            kill_run(plan(network, seed), Path(folder), count, ledger)
        seed += 1
    return seed - start


def kill_run(task: Plan, folder: Path, count: int, ledger: Ledger) -> None:
    """Train without and with a file, both undisturbed; then kill the run a few times and see how it ends."""
    for name in ("whole", "kept", "killed"):
        (folder / name).mkdir()
    whole = attempt(task, folder / "whole", keep=False)
    kept, pace = measure(task, folder / "kept")
    witness = Witness(f"{task.network} of seed {task.seed}", whole.result or {}, ledger)
    for undisturbed in (whole, kept):
        witness.follow(undisturbed)
    witness.begin_anew()
    random = np.random.default_rng([task.seed, len(task.network)])
    wanted = min(ledger.counts["kills"] + int(random.integers(1, 7)), count)
    while True:
        moment = draw_moment(random, pace) if ledger.counts["kills"] < wanted else None
        found = attempt(task, folder / "killed", moment)
        witness.follow(found)
        witness.look_into(folder / "killed", FILE, ended=not found.killed)
        if not found.killed:
            return
