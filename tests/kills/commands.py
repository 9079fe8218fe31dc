"""`nnx train --checkpoint`, started, killed and started again as a process of its own."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

import nnx
from tests.kills.ledger import Attempt, Ledger, Witness, parts_in

FILE, MODEL, TABLE = "run.h5", "model.h5", "epochs.csv"

_ROOT = Path(__file__).resolve().parents[2]
_ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": os.pathsep.join((str(_ROOT), str(_ROOT / "backends"))),
    "OPENBLAS_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
}
_WENT_ON = re.compile(r"went on after epoch (\d+) of")
_PATIENCE = 300.0
_LOOK_AFTER = 0.0005
"""Seconds between looks at the folder, so that a save can be hit."""


@dataclass(frozen=True)
class Command:
    """One command line; it writes a model and a table at the end."""

    arguments: tuple[str, ...]

    def start(self, folder: Path, keep: bool) -> subprocess.Popen[str]:
        """Start it in a folder."""
        kept = ("--checkpoint", FILE) if keep else ()
        return subprocess.Popen(
            [sys.executable, "-c", "from nnx.cli import main; main()", "train", "digits", *self.arguments, *kept],
            cwd=folder,
            env=_ENVIRONMENT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


@dataclass(frozen=True)
class Moment:
    """When a command is killed: so many seconds after so many files, or as soon as it then writes another."""

    files: int
    seconds: float
    writing: bool


def command(seed: int) -> Command:
    """Return the command line of a seed; checkpoints are written about every two seconds, at the ends of epochs."""
    optimizer = ("adam", "rmsprop", "momentum")[seed % 3]
    stopping = ("--validation-split", "0.2", "--patience", "200") if seed % 2 else ()
    backend, epochs = (("numpy", "600"), ("numba", "3000"))[seed // 2 % 2]  # some seconds, and so some checkpoints
    named = {
        "layers": "64,32",
        "dropout": "0.2",
        "optimizer": optimizer,
        "epochs": epochs,
        "seed": str(seed),
        "backend": backend,
        "save": MODEL,
        "csv": TABLE,
    }
    given = [part for name, value in named.items() for part in (f"--{name}", value)]
    return Command((*given, "--batch-norm", "--json", *stopping))


def attempt(task: Command, folder: Path, moment: Moment | None = None, keep: bool = True) -> Attempt:
    """Run a command; kill it at some moment, unless it ends before. Epochs stand in the places of steps."""
    before, found = parts_in(folder), Attempt()
    with task.start(folder, keep) as process:
        if moment is not None:
            found.saved = _kill(process, folder, moment, before)
        stdout, stderr = process.communicate(timeout=_PATIENCE)
    found.killed = process.returncode == -9
    found.parts = sorted(parts_in(folder) - before)
    went_on = _WENT_ON.search(stderr)
    found.begun = int(went_on[1]) if went_on else None
    if found.killed:
        seen, kept = found.saved or 0, _epochs(folder / FILE)
        found.writing = max(seen, kept) if found.parts or kept > seen else None
    elif process.returncode:
        found.error = f"exit code {process.returncode}: {stderr[-500:]}"
    else:
        found.result = outcome(folder, json.loads(stdout))
    return found


def _kill(process: subprocess.Popen[str], folder: Path, moment: Moment, before: set[str]) -> int | None:
    """Kill a command when it is time; return the epochs of the last file that was seen whole until then, if any."""
    came, seen, files, epochs = time.monotonic(), _written(folder / FILE), 0, None
    while process.poll() is None:
        late = files >= moment.files and time.monotonic() >= came + moment.seconds
        if late and (not moment.writing or parts_in(folder) - before):
            process.kill()
            break
        if (written := _written(folder / FILE)) != seen:
            came, seen, files, epochs = time.monotonic(), written, files + 1, _epochs(folder / FILE)
        time.sleep(_LOOK_AFTER)
    return epochs


def _written(path: Path) -> int:
    """Return when a file was written, in nanoseconds, or 0 where there is none."""
    return path.stat().st_mtime_ns if path.exists() else 0


def _epochs(path: Path) -> int:
    return nnx.load(path, backend="numpy").epoch if path.exists() else 0


def outcome(folder: Path, report: Mapping[str, object]) -> dict[str, str]:
    """Return all that an interruption must not change: the report, the table, and every array of the model."""
    with h5py.File(folder / MODEL) as file:
        found = {name: hashlib.blake2b(file[name][...].tobytes()).hexdigest() for name in file}
    with (folder / TABLE).open(newline="", encoding="utf-8") as table:
        rows = [{name: value for name, value in row.items() if name != "seconds"} for row in csv.DictReader(table)]
    told = {name: value for name, value in report.items() if name != "seconds"}
    return {**found, "table": repr(rows), "report": repr(told)}


def kill_commands(start: int, count: int, ledger: Ledger) -> int:
    """Kill commands of seeds from `start`, until there were so many kills; return how many commands."""
    seed = start
    while ledger.counts["kills"] < count:
        with tempfile.TemporaryDirectory() as folder:
            _kill_command(seed, Path(folder), count, ledger)
        seed += 1
    return seed - start


def _kill_command(seed: int, folder: Path, count: int, ledger: Ledger) -> None:
    """Run without a file; then kill the command a few times and see how it ends."""
    task = command(seed)
    for name in ("whole", "killed"):
        (folder / name).mkdir()
    whole = attempt(task, folder / "whole", keep=False)
    witness = Witness(f"command of seed {seed}", whole.result or {}, ledger)
    witness.follow(whole)
    random = np.random.default_rng(seed)
    wanted = min(ledger.counts["kills"] + int(random.integers(2, 5)), count)
    while True:
        moment = None
        if ledger.counts["kills"] < wanted:
            moment = Moment(int(random.integers(3)), random.uniform(0, 2), bool(random.random() < 0.4))
        found = attempt(task, folder / "killed", moment)
        witness.follow(found)
        witness.look_into(folder / "killed", FILE, ended=not found.killed)
        if not found.killed:
            return
