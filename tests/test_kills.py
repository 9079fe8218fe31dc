"""Training that is killed at random moments and gone on with ends as if it had not been.

Here is a small fixed set; `python -m tests.kills --count 200` kills as often as one likes, and
`benchmarks/results/trust.md` says what the last such run found.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import nnx
from tests.kills.ledger import Attempt, Ledger, Witness

ROOT = Path(__file__).resolve().parents[1]
KILLS = 6
EXPECTED = {"parameters": "a", "statistics": "b"}


@pytest.mark.skipif(
    sys.platform != "linux", reason="children are forked from a process that /proc shows as having one thread"
)
def test_a_fixed_set_of_runs_that_are_killed_end_as_if_they_had_not_been() -> None:
    paths = os.pathsep.join(str(ROOT / part) for part in ("", "tests", "backends"))
    done = subprocess.run(
        [sys.executable, "-m", "tests.kills", "--count", str(KILLS)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in done.stdout.splitlines()[2:]]
    assert [row[0] for row in rows] == ["dense", "lstm", "cnn"]
    assert sum(int(row[2]) for row in rows) == KILLS


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


@pytest.fixture
def witness(ledger: Ledger) -> Witness:
    return Witness("run", EXPECTED, ledger)


def test_a_run_that_goes_on_before_its_last_file_would_be_found(ledger: Ledger, witness: Witness) -> None:
    witness.follow(Attempt(begun=0, saved=20, killed=True))
    witness.follow(Attempt(begun=10, killed=True))
    assert ledger.findings == ["run: went on at step 10, not at one of [20]"]


def test_a_file_whose_save_was_not_announced_as_done_may_be_there_or_not(ledger: Ledger, witness: Witness) -> None:
    witness.follow(Attempt(begun=0, saved=20, writing=30, killed=True))
    witness.follow(Attempt(begun=30, killed=True))
    witness.follow(Attempt(begun=30, writing=40, killed=True))
    witness.follow(Attempt(begun=30, result=EXPECTED))
    assert ledger.findings == []
    assert ledger.counts == {"kills": 3, "writing": 2, "part": 0, "early": 0}


@pytest.mark.parametrize(
    ("ending", "finding"),
    [
        (Attempt(result={**EXPECTED, "statistics": "c"}), "ended with other statistics than the uninterrupted run"),
        (Attempt(result={**EXPECTED, "more": "c"}), "ended with other results than the uninterrupted run"),
        (Attempt(), "ended without a word"),
        (Attempt(error="ChecksumError: ..."), "ChecksumError: ..."),
    ],
)
def test_a_run_that_ends_otherwise_would_be_found(
    ledger: Ledger, witness: Witness, ending: Attempt, finding: str
) -> None:
    witness.follow(ending)
    assert ledger.findings == [f"run: {finding}"]


def test_files_that_are_lost_damaged_left_or_in_the_wrong_order_would_be_found(
    ledger: Ledger, witness: Witness, tmp_path: Path
) -> None:
    model = nnx.Sequential([nnx.Dense(1)], input_shape=(2,), backend="numpy").compile("mean_squared_error")
    witness.follow(Attempt(begun=0, saved=20, killed=True))
    witness.look_into(tmp_path, "run.h5", ended=False)
    model.save(tmp_path / "run.h5")
    model.fit([[0.0, 1.0]], [[1.0]], epochs=1)
    model.save(tmp_path / "run.1.h5")
    witness.look_into(tmp_path, "run.h5", ended=False)
    (tmp_path / "run.1.h5").write_bytes((tmp_path / "run.h5").read_bytes()[:-1])
    witness.look_into(tmp_path, "run.h5", ended=False)
    (tmp_path / "run.1.h5").unlink()
    for name in ("abcdef01", "12345678"):
        (tmp_path / f".run.h5.{name}.part").touch()
        witness.look_into(tmp_path, "run.h5", ended=name == "abcdef01")
    expected = ["run.h5 is gone", "former files are newer", "bytes, but has", "temporary", "temporary"]
    assert len(ledger.findings) == len(expected)
    for finding, part in zip(ledger.findings, expected, strict=True):
        assert part in finding
