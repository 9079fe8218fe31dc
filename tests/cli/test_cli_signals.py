"""`nnx train --checkpoint` as a process: the first signal saves and says how to go on, the second ends at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import nnx

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no signals to send to another process")

SCRIPT = """
import signal

signal.signal(signal.SIGINT, signal.default_int_handler)  # shells start background jobs with it ignored

from nnx.cli import main, training


class Announcing(training._Beginning):
    every = 50

    def on_steps(self, run, step, logs):
        if step == self.every:
            print("training", flush=True)


training._Beginning = Announcing
training._SECONDS_BETWEEN_CHECKPOINTS = 3600.0  # so that the only file is the one that the signal brings about
"""

ENDLESS_SAVE = """
import time


class EndlessSave(training.Checkpoint):
    def _keep_former(self):
        print("saving", flush=True)
        time.sleep(600)


training.Checkpoint = EndlessSave
"""

ROOT = Path(__file__).resolve().parents[2]
OPTIONS = ("--layers", "8", "--batch-norm", "--backend", "numpy", "--checkpoint", "run.h5")


@contextmanager
def training(folder: Path, *more: str) -> Iterator[subprocess.Popen[str]]:
    """Yield a command that has begun to train, and would for hours."""
    paths = os.pathsep.join(map(str, (ROOT, ROOT / "backends")))
    with subprocess.Popen(
        [
            sys.executable,
            "-c",
            "\n".join((SCRIPT, *more, "main()")),
            "train",
            "digits",
            *OPTIONS,
            "--epochs",
            "99999",
        ],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": paths, "OPENBLAS_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "training\n", process.communicate()[1]
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_first_signal_saves_and_says_in_one_line_how_to_go_on(tmp_path, run_nnx, number, code):
    with training(tmp_path) as process:
        process.send_signal(number)
        stdout, stderr = process.communicate(timeout=60)
    done = nnx.load(tmp_path / "run.h5", backend="numpy").epoch
    after = f"after epoch {done} of 99999"  # the signal comes within an epoch or, rarely, between two
    where = f"{after}, in the middle of epoch {done + 1}," if f"{after}," in stderr else after
    assert stderr.splitlines() == [
        f"saved {where} in run.h5; go on from it with fit(..., resume='run.h5'), or with the same nnx train command"
    ]
    assert (process.returncode, stdout) == (code, "")
    assert list(tmp_path.iterdir()) == [tmp_path / "run.h5"]
    again = run_nnx("train", "digits", *OPTIONS, "--epochs", done + 2)
    assert again.exit_code == 0
    assert again.stderr == f"went on {where.rstrip(',').replace('99999', str(done + 2))}.\n"
    assert nnx.load(tmp_path / "run.h5", backend="numpy").epoch == done + 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_second_signal_ends_at_once_in_the_middle_of_a_save(tmp_path, number):
    with training(tmp_path, ENDLESS_SAVE) as process:
        process.send_signal(signal.SIGINT)
        assert process.stdout is not None
        assert process.stdout.readline() == "saving\n"
        process.send_signal(number)
        stderr = process.communicate(timeout=30)[1]
    ending = {signal.SIGINT: (130, ["interrupted"]), signal.SIGTERM: (-signal.SIGTERM, [])}
    assert (process.returncode, stderr.splitlines()) == ending[number]
    assert list(tmp_path.iterdir()) == []
