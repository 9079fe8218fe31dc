"""Work on several threads, dealt out by kernels or started by the caller."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnx.conformance import check_backend
from numba_backend.support import normal, outcome, start

pytest.importorskip("numba")

from nnx_numba import linear, team
from nnx_numba.kernel import Kernel


def results(backend: Any) -> list[Any]:
    """Run every kernel that deals out work on sizes where it does."""
    x, dy, w = normal(700, 530), normal(700, 530, seed=1), normal(530, 64, seed=2)
    labels = np.arange(700) % 530
    gamma, beta, mean, rstd, running_mean, running_var, dgamma, dbeta = np.abs(normal(8, 530, seed=3))
    row_mean, row_rstd = np.zeros((2, 700), np.float32)
    y, dx, bits = np.empty_like(x), np.empty_like(x), np.empty(x.shape, np.int32)
    loss, norm, step, rate = (np.zeros((), kind) for kind in ("f4", "f4", "i8", "f4"))
    rate[...] = 1
    p, g, m, v = np.abs(normal(4, 400_000, seed=4))
    found: list[Any] = []

    def keep(*arrays: Any) -> None:
        found.extend(array.copy() for array in arrays)

    for activation in ("tanh", "gelu"):
        backend.activate(x, y, activation, 0.0)
        backend.activate_backward(x, y, dy, dx, activation, 0.0)
        keep(y, dx)
    backend.softmax(x, y)
    backend.softmax_cross_entropy(x, labels, None, loss, dx, 0.1)
    keep(y, loss, dx)
    backend.mean_squared_error(x, dy, None, loss, dx)
    keep(loss, dx)
    statistics = running_mean, running_var, y, mean, rstd
    backend.batch_norm(x, gamma, beta, *statistics, 0.1, 1e-5)
    backend.batch_norm_backward(x, gamma, mean, rstd, dy, dx, dgamma, dbeta)
    keep(*statistics, dx, dgamma, dbeta)
    backend.layer_norm(x, gamma, beta, y, row_mean, row_rstd, 1e-5)
    backend.layer_norm_backward(x, gamma, row_mean, row_rstd, dy, dx, dgamma, dbeta)
    keep(y, dx, dgamma, dbeta)
    backend.dropout(x, step, y, 1, 2, 40000)
    backend.random_bits(step, bits, 1, 2)
    keep(y, bits)
    output = np.empty((700, 64), np.float32)
    backend.linear(x, w, None, output, "tanh", 0.0)
    dz, db, dw = np.empty_like(output), np.empty(64, np.float32), np.empty_like(w)
    backend.linear_backward(x, output, output, w, dz, dx, dw, db, "tanh", 0.0)
    keep(output, dz, db, dw, dx)
    backend.adamw(p, g, m, v, step, rate, 0.9, 0.999, 1e-8, 0.0, 0.1, 150_000)
    backend.l2_penalty(p, g, loss, 0.1)
    backend.clip_by_global_norm(g, norm, 1.0)
    keep(p, m, v, g, loss, norm)
    return found


@pytest.fixture
def eager_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have two threads, and even small work dealt out."""
    before = team.num_threads()
    team.set_num_threads(2)
    monkeypatch.setattr(linear, "PRODUCTS", 1000)
    for module in ("activations", "dropout", "hostarrays", "columns", "updates", "indexing"):
        monkeypatch.setattr(f"nnx_numba.{module}.GRAIN", 1024, raising=False)
    yield
    team.set_num_threads(before)


@pytest.mark.usefixtures("eager_threads")
def test_any_number_of_threads_gives_the_same_bits(backend: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    dealt: set[str] = set()
    call = Kernel.__call__

    def noted(self: Kernel, count: int, grain: int, *arguments: Any) -> None:
        if count >= 2 * grain:
            dealt.add(self.name)
        call(self, count, grain, *arguments)

    monkeypatch.setattr(Kernel, "__call__", noted)
    found = []
    for threads in (1, 2, 3):
        team.set_num_threads(threads)
        found.append(results(backend))
    assert {"batch_norm", "cross_entropy", "dropout", "adam", "squares", "slopes-tanh", "product"} <= dealt
    for other in found[1:]:
        for one, two in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(one, two)


@pytest.mark.usefixtures("eager_threads")
def test_python_threads_may_run_parallel_work_at_once(backend: Any) -> None:
    x = np.linspace(-5, 5, 400_000, dtype=np.float32)
    expected = np.empty_like(x)
    backend.activate(x, expected, "tanh", 0.0)
    wrong: list[Any] = []

    def work() -> None:
        y = np.empty_like(x)
        for _ in range(50):
            y[...] = 0
            backend.activate(x, y, "tanh", 0.0)
            if not np.array_equal(y, expected):
                wrong.append(y)

    together(work, 4)
    assert not wrong


def together(work: Callable[[], None], count: int) -> None:
    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@pytest.mark.usefixtures("eager_threads")
def test_work_goes_on_with_fewer_threads_when_none_can_be_started(
    backend: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    team.set_num_threads(2)
    x, y = np.ones(400_000, np.float32), np.zeros(400_000, np.float32)

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        backend.activate(x, y, "relu", 0.0)
    assert (y == 1).all()
    assert "no thread beyond 1 could be started" in caplog.text
    y[...] = 0
    backend.activate(x, y, "relu", 0.0)
    assert (y == 1).all()


def test_a_thread_with_a_small_stack_multiplies_large_matrices(package: Path) -> None:
    program = """
import threading
import numpy as np
from nnx_numba import NumbaBackend
backend, a, b = NumbaBackend(), np.ones((700, 600)), np.ones((600, 300))
out = np.empty((700, 300))
threading.stack_size(512 * 1024)
thread = threading.Thread(target=lambda: backend.matmul(a, b, out, False, False))
thread.start()
thread.join()
print(int(out.min()), int(out.max()))
"""
    assert outcome(start(program, package)) == ["600", "600"]


@pytest.mark.usefixtures("eager_threads")
def test_helpers_do_nothing_when_the_caller_is_interrupted_before_it_begins(
    backend: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, y = np.ones(400_000, np.float32), np.zeros(400_000, np.float32)
    backend.activate(x, y, "relu", 0.0)
    y[...] = 0
    walk, caller, helpers_done = team._walk(), threading.current_thread(), threading.Event()

    def interrupted(*arguments: Any) -> None:
        if threading.current_thread() is caller:
            raise KeyboardInterrupt
        walk(*arguments)
        helpers_done.set()

    monkeypatch.setattr(team, "_walk", lambda: interrupted)
    with pytest.raises(KeyboardInterrupt):
        backend.activate(x, y, "relu", 0.0)
    assert helpers_done.wait(10), "a helper waits for a caller that will not come"
    monkeypatch.undo()
    assert (y == 0).all()
    backend.activate(x, y, "relu", 0.0)
    assert (y == 1).all()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_forked_process_starts_threads_of_its_own(package: Path) -> None:
    program = """
import os, warnings
warnings.simplefilter("ignore")
import numpy as np
from nnx_numba import NumbaBackend, team
team.set_num_threads(2)
backend, x = NumbaBackend(), np.linspace(-5, 5, 400_000, dtype=np.float32)
y = np.empty_like(x)
backend.activate(x, y, "tanh", 0.0)
child = os.fork()
if child == 0:
    z = np.empty_like(x)
    backend.activate(x, z, "tanh", 0.0)
    os._exit(0 if np.array_equal(y, z) else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    assert outcome(start(program, package)) == ["0"]


def test_threads_that_sum_at_once_have_scratch_memory_of_their_own(backend: Any) -> None:
    x, t = normal(300, 400), normal(300, 400, seed=1)
    wrong: list[float] = []

    def work(scale: np.float32) -> None:
        outputs, gradient, loss, first = x * scale, np.empty_like(x), np.zeros((), "f4"), np.zeros((), "f4")
        backend.mean_squared_error(outputs, t, None, first, gradient)
        for _ in range(200):
            backend.mean_squared_error(outputs, t, None, loss, gradient)
            if loss != first:
                wrong.append(float(loss))

    scales = iter((np.float32(1), np.float32(2)))
    together(lambda: work(next(scales)), 2)
    assert not wrong


@pytest.mark.usefixtures("eager_threads")
def test_dealt_out_kernels_pass_the_conformance_kit(backend: Any) -> None:
    dealt = (
        "activate",
        "batch_norm",
        "batch_norm_backward",
        "layer_norm",
        "softmax_cross_entropy",
        "dropout",
        "adam",
    )
    report = check_backend(backend, kernels=dealt)
    assert report.ok, str(report)
