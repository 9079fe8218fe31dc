"""Workers of every kind, made after their parent has trained with threads, compute what it computes."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from typing import Any

import pytest
from support.runs_at_once import network

from nnx import registry
from nnx.errors import BackendError

PROGRAM = """
import multiprocessing, sys, warnings
from concurrent.futures import ProcessPoolExecutor
warnings.simplefilter("ignore")  # of fork, that threads are there
import nnx
from support.runs_at_once import run, same

ENGINES = [engine for engine in ("numpy", "numba") if nnx.registry.describe(engine).available]
CASES = [(name, engine) for name in ("dense", "sequences") for engine in ENGINES]

def compute(case):
    nnx.set_num_threads(2)
    return run(*case)

if __name__ == "__main__":
    expected = list(map(compute, CASES))
    def check(kind, found):
        print(kind, all(map(same, found, expected)), flush=True)
    for kind in sys.argv[1:]:
        if kind == "loky":
            from joblib import Parallel, delayed
            check(kind, Parallel(n_jobs=2)(delayed(compute)(case) for case in CASES))
        else:
            with ProcessPoolExecutor(1 + (kind == "fork"), multiprocessing.get_context(kind)) as pool:
                check(kind, list(pool.map(compute, CASES)))
    check("parent", list(map(compute, CASES)))
"""

KINDS = ["spawn", "loky"] + (["fork", "forkserver"] if hasattr(os, "fork") else [])


def test_workers_of_every_kind_train_as_their_parent_does_bit_for_bit(tmp_path: Any) -> None:
    script = tmp_path / "workers.py"
    script.write_text(PROGRAM)
    told = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, str(script), *KINDS]
    done = subprocess.run(command, env=told, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.splitlines() == [f"{kind} True" for kind in (*KINDS, "parent")]


COMPILING = """
import os, signal, sys, threading, time, warnings
warnings.simplefilter("ignore")  # of fork, that threads are there
import nnx
from nnx_numba.internals import lock
from support.runs_at_once import run

holding, forked = threading.Event(), threading.Event()

def compile_for_a_while():
    with lock:
        holding.set()
        time.sleep(0.3)
        print("compiled", flush=True)

thread = threading.Thread(target=compile_for_a_while)
thread.start()
holding.wait()
child = os.fork()
if child == 0:
    signal.alarm(60)
    with lock:
        os._exit(0)
thread.join()
print("child ended with", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.skipif(not registry.describe("numba").available, reason="numba is not available")
def test_a_process_forked_while_another_thread_compiles_can_compile_too() -> None:
    told = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", COMPILING], env=told, capture_output=True, text=True, timeout=120)
    assert done.stdout.splitlines() == ["compiled", "child ended with 0"], done.stderr[-2000:]


def in_a_fork(work: Any) -> int:
    """Return how the work ended in a process forked here: 0 for well, 14 for not at all."""
    import signal
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of fork, that threads are there
        child = os.fork()
    if child == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(30)
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return abs(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_process_forked_while_another_thread_loads_an_engine_can_select_one() -> None:
    held, done = threading.Event(), threading.Event()

    def load() -> None:
        with registry._lock:
            held.set()
            done.wait(60)

    thread = threading.Thread(target=load)
    thread.start()
    held.wait()
    try:
        assert in_a_fork(lambda: registry.get("numpy")) == 0
    finally:
        done.set()
        thread.join()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_forked_process_trains_a_model_that_another_thread_of_its_parent_was_reading() -> None:
    model, held, done = network("dense", "numpy"), threading.Event(), threading.Event()

    def read() -> None:
        with model.access.reading():
            held.set()
            done.wait(60)

    def change() -> None:
        with model.access.exclusively():
            pass

    thread = threading.Thread(target=read)
    thread.start()
    held.wait()
    try:
        with pytest.raises(BackendError, match="used by another thread"):
            change()
        assert in_a_fork(change) == 0
    finally:
        done.set()
        thread.join()
