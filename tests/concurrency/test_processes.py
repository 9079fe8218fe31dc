"""Workers of every kind, made after their parent has trained with threads, compute what it computes."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from support.runs_at_once import network

import nnx
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


ENGINE = """
import time
from __main__ import compiler, forking, loading
loading.set()
assert forking.wait(60)
time.sleep(0.2)  # a fork that does not wait is over by then
with compiler:  # as engines do what they have compiled loaded
    from nnx_numpy import NumpyBackend

class Engine(NumpyBackend):
    name = "slow"
"""

LOADING = """
import os, signal, sys, threading, warnings
from concurrent.futures import ThreadPoolExecutor
warnings.simplefilter("ignore")  # of fork, that threads are there
import nnx
from nnx import interface, registry

def make():
    import slow_engine
    return slow_engine.Engine()

def elsewhere():
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: (compiler.acquire(), nnx.get_backend("slow").name)[1]).result()

def in_a_fork(_):
    child = os.fork()
    if child == 0:
        signal.alarm(30)
        print("child has", elsewhere(), flush=True)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

compiler, loading, forking = threading.RLock(), threading.Event(), threading.Event()
interface.hold_across_forks(compiler)
registry.register("slow", make)
os.register_at_fork(before=forking.set)  # called first, having been registered last
thread = threading.Thread(target=nnx.get_backend, args=("slow",))
thread.start()
assert loading.wait(60)
print("child ended with", in_a_fork(0), flush=True)
thread.join()
with ThreadPoolExecutor(2) as pool:
    print("two at once ended with", *pool.map(in_a_fork, range(2)), flush=True)
print("parent has", elsewhere())
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_processes_forked_while_another_thread_loads_an_engine_have_it_whole(tmp_path: Any) -> None:
    (tmp_path / "slow_engine.py").write_text(ENGINE)
    told = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    done = subprocess.run([sys.executable, "-c", LOADING], env=told, capture_output=True, text=True, timeout=120)
    assert done.stdout.splitlines() == [
        *("child has slow", "child ended with 0"),
        *("child has slow", "child has slow", "two at once ended with 0 0"),
        "parent has slow",
    ], done.stderr[-2000:]


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


@pytest.fixture
def in_training() -> Iterator[nnx.Sequential]:
    """A model that another thread changes as long as the test goes on."""
    model, held, done = network("dense", "numpy"), threading.Event(), threading.Event()

    def change() -> None:
        with model.access.exclusively():
            held.set()
            done.wait(60)

    thread = threading.Thread(target=change)
    thread.start()
    held.wait()
    yield model
    done.set()
    thread.join()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_forked_process_is_told_to_load_the_model_anew_that_another_thread_was_training(
    in_training: nnx.Sequential,
) -> None:
    def use() -> None:
        with pytest.raises(BackendError, match=r"when this process was forked.*load it anew"):
            in_training.get_weights()
        with pytest.raises(BackendError, match=r"when this process was forked.*load it anew"):
            in_training.compile("softmax_cross_entropy")
        with pytest.raises(BackendError, match=r"when this process was forked.*load it anew"):
            in_training.set_weights({})

    with pytest.raises(BackendError, match="predict and save when that is done"):
        in_training.get_weights()
    assert in_a_fork(use) == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_process_forked_by_the_thread_that_changes_a_model_goes_on_with_it_and_no_other_thread_does() -> None:
    model = network("dense", "numpy")

    def use() -> None:
        model.set_weights(model.get_weights())
        with (
            ThreadPoolExecutor(1) as pool,
            pytest.raises(BackendError, match="trained or changed by another thread, so that"),
        ):
            pool.submit(model.get_weights).result()

    with model.access.exclusively():
        assert in_a_fork(use) == 0
