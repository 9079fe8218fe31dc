"""Training on several processes over MPI: the same as on one, whatever their number, and orderly ends."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import nnx
from tests.distributed import program

ROOT = Path(__file__).resolve().parents[2]
MPIEXEC = shutil.which("mpiexec", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("mpi4py") is None or MPIEXEC is None,
    reason="needs mpi4py and mpiexec: python -m pip install mpi4py mpich",
)

CASES = tuple(
    f"{case}-{backend}"
    for case, backend in (
        ("plain", "numpy"),
        ("wide", "numpy"),
        ("wide", "numba"),
        ("single", "numba"),
        ("full", "numba"),
        ("short", "numba"),
        ("own", "numba"),
        ("mine_streamed", "numpy"),
        ("stopped", "numba"),
        ("streamed", "numpy"),
        ("streamed", "numba"),
        ("sparse", "numba"),
        ("gone_on", "numpy"),
    )
)
AGAIN = "wide-numba-again"


def mpiexec(ranks: int, folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run tests.distributed.program on so many ranks, each with one thread: there may be more ranks than cores."""
    settings = {
        "PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "backends"))),
        "OPENBLAS_NUM_THREADS": "1",
        "NUMBA_NUM_THREADS": "1",
    }
    command = [MPIEXEC, "-n", str(ranks), sys.executable, "-m", "tests.distributed.program", folder, *arguments]
    return subprocess.run(
        list(map(str, command)),
        cwd=folder,
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Return weights and measurements by number of ranks and by case."""
    found = {1: {name: program.run(name, distributed=False) for name in CASES}}
    for ranks, cases in ((2, (*CASES, AGAIN)), (4, CASES)):
        folder = tmp_path_factory.mktemp(f"ranks_{ranks}")
        program.interrupt(folder)
        result = mpiexec(ranks, folder, *cases)
        assert result.returncode == 0, result.stderr
        found[ranks] = {name: dict(np.load(folder / f"{name}.npz")) for name in cases}
    return found


@pytest.mark.parametrize("ranks", [2, 4])
@pytest.mark.parametrize("case", CASES)
def test_weights_do_not_depend_on_the_number_of_processes(trained, case, ranks):
    """Sums have another order on every number of ranks, so that each step adds a few roundings of its gradient.

    A hundred times the unit roundoff bears 15 to 60 steps of 8 summands each; a mask, a batch or a statistic that
    were not the same would show at 1e-3.
    """
    alone, together = trained[1][case], trained[ranks][case]
    assert alone.keys() == together.keys()
    for name, values in alone.items():
        bound = 100 * np.finfo(values.dtype if "short" not in case else "float32").eps
        np.testing.assert_allclose(together[name], values, rtol=bound, atol=bound, err_msg=name)


def test_the_same_number_of_processes_gives_the_same_bits(trained):
    again = trained[2][AGAIN]
    assert {name: values.tobytes() for name, values in again.items()} == {
        name: values.tobytes() for name, values in trained[2]["wide-numba"].items()
    }


def test_early_stopping_of_rank_0_ends_all_ranks_with_the_best_weights(trained):
    assert len(trained[2]["stopped-numba"]["history.loss"]) < 60


def test_a_killed_rank_ends_the_run_and_another_number_of_ranks_goes_on_from_its_checkpoint(tmp_path):
    began = time.monotonic()
    result = mpiexec(2, tmp_path, "killed")
    assert time.monotonic() - began < 60  # it would train for hours, and the other rank wait for ever
    assert result.returncode != 0
    kept = tmp_path / "run.h5"
    done = nnx.load(kept).epoch
    assert done == 2
    shutil.copyfile(kept, tmp_path / "alone.h5")
    alone = program.resumed(tmp_path / "alone.h5", done + 2, distributed=False)
    result = mpiexec(3, tmp_path, f"resume:{done + 2}")
    assert result.returncode == 0, result.stderr
    together = np.load(tmp_path / "resumed.npz")
    for name, values in alone.items():  # four epochs of five steps: the bound of the test above
        np.testing.assert_allclose(together[name], values, rtol=3e-14, atol=3e-14, err_msg=name)


def test_an_error_on_one_rank_ends_all_of_them_with_one_line(tmp_path):
    result = mpiexec(2, tmp_path, "raises")
    assert result.returncode != 0
    told = [line for line in result.stderr.splitlines() if line.startswith("nnx: ")]
    assert told == [
        "nnx: rank 1 of 2 failed, which ends all of them. ValueError: no more. "
        "The run stands in 'run.h5' as it was last saved."
    ]
    assert "Traceback" not in result.stderr
    assert nnx.load(tmp_path / "run.h5").epoch in (1, 2)  # rank 0 may have been writing that of the second epoch


@pytest.mark.parametrize("how", ["left-with-0", "left-with-3", "left-after-fit"])
def test_no_rank_waits_for_ever_for_one_that_has_ended_its_program(tmp_path, how):
    result = mpiexec(2, tmp_path, how)
    assert result.returncode == 1
    told = [line for line in result.stderr.splitlines() if line.startswith("nnx: ")]
    assert told == [
        "nnx: rank 1 of 2 ended its program, and rank 0 would wait for it in fit for ever, which ends all of them. "
        "Every rank must reach each fit(distributed=True)."
    ]
    assert "rank 1 of a script" in result.stdout  # which stood in a buffer


def test_ranks_that_end_together_keep_their_own_exit_code(tmp_path):
    result = mpiexec(2, tmp_path, "left-together")
    assert result.returncode == 5
    assert result.stderr == ""


def test_a_signal_to_one_rank_saves_the_run_and_ends_all_of_them(tmp_path):
    result = mpiexec(2, tmp_path, "terminated")
    assert result.returncode == 143
    assert result.stderr.count("go on from it with fit(..., resume=") == 1
    assert nnx.load(tmp_path / "run.h5").built


FAULTS = {
    "other-data": "ranks 0 and 1 differ in the examples.",
    "other-seed": "ranks 0 and 1 differ in the seed: 3 and 4.",
    "refused-on-rank-1": "x holds NaN",
    "mixing-layer": "but layer 1.0, Scaled(centred=True), has another output for a row when other rows",
    "other-option": "ranks 0 and 1 differ in the layers: ",
    "diverges": "is the first with such an output",
    "stored-nan": "DataError: x holds NaN or infinity as float32, first in row 30;",
}


def test_what_cannot_be_trained_together_is_refused_on_all_ranks(tmp_path):
    result = mpiexec(2, tmp_path, "refused", *FAULTS)
    assert result.returncode == 0, result.stderr
    said = {(fault, rank): (tmp_path / f"{fault}-{rank}.txt").read_text() for fault in FAULTS for rank in (0, 1)}
    for (fault, rank), text in said.items():
        assert FAULTS[fault] in text, (rank, text)
    assert said["refused-on-rank-1", 0].startswith(
        "BackendError: Training cannot begin, since rank 1 of 2 failed: DataError: "
    )


def test_the_command_line_speaks_once_for_all_processes(tmp_path):
    options = ("digits", "--layers", "8", "--epochs", "1", "--backend", "numpy", "--json", "--save", "model.h5")
    result = mpiexec(2, tmp_path, "train", *options)
    assert result.returncode == 0, result.stderr
    assert result.stdout.count('"test_accuracy"') == 1
    assert nnx.load(tmp_path / "model.h5").metadata["dataset"] == "digits"
