"""The contest's processes, for real: clean environments, turns, and contenders that fail."""

import os

import pytest

from benchmarks import environment, suite
from benchmarks.contest import Contest, Seat, TurnError
from benchmarks.limits import Limits
from nnx.errors import NnxError


def _silent(_text: str) -> None:
    pass


def test_settings_that_choose_kernels_or_threads_are_dropped_and_threads_set():
    given = {"OPENBLAS_CORETYPE": "Haswell", "MKL_NUM_THREADS": "7", "OMP_WAIT_POLICY": "active", "HOME": "/h"}
    cleaned = environment.clean(2, "cpu", given)
    assert "OPENBLAS_CORETYPE" not in cleaned
    assert "OMP_WAIT_POLICY" not in cleaned
    assert cleaned["HOME"] == "/h"
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "NPROC")
    assert {cleaned[name] for name in names} == {"2"}
    assert cleaned["JAX_PLATFORMS"] == "cpu"
    assert "JAX_PLATFORMS" not in environment.clean(1, "cuda", given)


def test_selections_of_the_user_do_not_reach_contenders():
    assert "NNX_BACKEND" not in environment.clean(1, "cpu", {"NNX_BACKEND": "numba"})


def test_contenders_take_turns_at_a_kernel_and_agree(monkeypatch):
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    said: list[str] = []
    with Contest(["nnx:numpy", "numpy-by-hand", "no-such-peer"], 1, "cpu", said.append) as contest:
        result = contest.hold("matmul 256x256x256", 2)
        absent = contest.hold("gelu 1000000", 1)
        described = contest.describe()
    assert {name: len(seconds) for name, seconds in result.seconds.items()} == {"nnx:numpy": 2, "numpy-by-hand": 2}
    assert all(second > 0 for seconds in result.seconds.values() for second in seconds)
    assert result.disputed == {}
    assert "not written by hand" in absent.absent["numpy-by-hand"]
    assert list(absent.seconds) == ["nnx:numpy"]
    assert "no-such-peer" in result.absent
    assert any(line.startswith("no-such-peer takes no part") for line in said)
    (numpy_blas, *_) = described["numpy-by-hand"]["blas"]
    assert numpy_blas["num_threads"] == 1
    assert os.environ["OPENBLAS_CORETYPE"] == "Haswell"  # dropped for the processes, not for the caller


def test_a_contender_that_dies_is_reported_with_its_last_words():
    seat = Seat("nnx:numpy", 1, "cpu")
    seat._process.kill()
    with pytest.raises(TurnError, match="the process ended with code -9"):
        seat.ask("repeat")
    seat.leave()


def test_a_contender_that_fails_at_a_task_goes_on_with_the_next():
    with Contest(["nnx:numpy"], 1, "cpu", _silent) as contest:
        (seat,) = contest.seats
        with pytest.raises(TurnError, match="KeyError"):
            seat.ask("open_kernel", "no such case")
        assert contest.hold("adam 10000", 1).seconds["nnx:numpy"]


def test_suites_say_what_to_install(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    limits = Limits(1, 1.0, 1.0, {"DRAM": 1.0}, {"DRAM": 1.0}, {})
    with pytest.raises(NnxError, match=r"pip install -e '\.\[bench\]'"):
        suite.run(["numpy"], 1, "cpu", True, limits)
