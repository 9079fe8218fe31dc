"""Users' own kernels of Numba in several threads: where its threads bear one call at a time, calls take turns."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest

import nnx
from nnx import registry
from nnx.ops import foreign
from nnx.ops.foreign import ForeignKernel, workqueue_serves


def numba_of(layer: str | None, wanted: str = "default") -> Any:
    """Return something like the module, whose threading layer is this one; None for none so far."""

    def threading_layer() -> str:
        if layer is None:
            raise ValueError("Threading layer is not initialized.")
        return layer

    return SimpleNamespace(threading_layer=threading_layer, config=SimpleNamespace(THREADING_LAYER=wanted))


@pytest.mark.parametrize(
    ("numba", "openmp", "expected"),
    [
        (None, True, False),
        (numba_of("workqueue"), True, True),
        (numba_of("omp"), True, False),
        (numba_of("tbb"), False, False),
        (numba_of(None), True, False),
        (numba_of(None), False, True),
        (numba_of(None, "workqueue"), True, True),
    ],
)
def test_workqueue_is_found_where_it_serves_or_may_do_so(
    monkeypatch: pytest.MonkeyPatch, numba: Any, openmp: bool, expected: bool
) -> None:
    monkeypatch.setitem(sys.modules, "numba", numba)
    monkeypatch.setattr(foreign, "_openmp_is_there", lambda: openmp)
    assert workqueue_serves() is expected


def most_at_once(kernel: Callable[[Callable[[], None]], Any]) -> int:
    """Return how many of four threads were in a kernel at the same time, at most."""
    inside, most, gate = list[int](), list[int](), threading.Barrier(4)

    def work(number: int) -> None:
        inside.append(number)
        most.append(len(inside))
        gone_on.wait(0.05)
        inside.remove(number)

    gone_on = threading.Event()
    made = kernel(work)

    def call(number: int) -> None:
        gate.wait()
        made(number)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(call, range(4)))
    return max(most)


def test_kernels_of_users_take_turns_on_workqueue_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numba", numba_of("workqueue"))
    assert most_at_once(ForeignKernel) == 1
    monkeypatch.setitem(sys.modules, "numba", numba_of("omp"))
    assert most_at_once(ForeignKernel) > 1


def test_kernels_of_the_backend_take_no_turns(backend: nnx.Backend) -> None:
    from nnx.ops import Ops

    ops, x = Ops(backend, "float32"), backend.zeros((3,), "float32")
    with ops.recording() as tape:
        ops.add(x, x)
        ops.call(print)
    assert [isinstance(call.kernel, ForeignKernel) for call in tape.calls] == [False, True]
    assert tape.calls[1].kernel.__name__ == "print"


WORKQUEUE = """
import sys, threading
from dataclasses import dataclass
import numba, numpy as np
import nnx
from support.runs_at_once import run, same

nnx.set_num_threads(2)
for name in ("dense", "images", "sequences"):
    run(name, "numba")
try:
    print("nnx uses", numba.threading_layer())
except ValueError:
    print("nnx uses none")

@numba.njit(parallel=True)
def sine(x, out):
    for i in numba.prange(x.shape[0]):
        for j in range(x.shape[1]):
            out[i, j] = np.sin(x[i, j])

@dataclass(eq=False, repr=False)
class Sine(nnx.Layer):
    def forward(self, x, context):
        y = self.ops.like(x)
        self.ops.call(sine, x, y)
        def backward(dy):
            dx = self.ops.like(dy)
            self.ops.call(sine, dy, dx)
            return dx
        return y, backward

def train(backend):
    x = np.random.default_rng(1).normal(size=(300, 50)).astype(np.float32)
    model = nnx.Sequential([nnx.Dense(100), Sine(), nnx.Dense(3)], backend=backend)
    model.compile("softmax_cross_entropy").fit(x, np.arange(300) % 3, epochs=5, batch_size=30)
    return model.to_host().arrays

backends = ["numpy", "numba"] * 2
alone = {name: train(name) for name in backends}
print("own kernels use", numba.threading_layer())
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor(4) as pool:
    together = list(pool.map(train, backends))
print(all(same(one, alone[name]) for one, name in zip(together, backends)))
"""


@pytest.mark.skipif(not registry.describe("numba").available, reason="numba is not available")
def test_parallel_kernels_of_users_in_four_fits_at_once_do_not_end_the_process() -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("NUMBA_")}
    kept |= {
        "PYTHONPATH": os.pathsep.join(sys.path),
        "NUMBA_THREADING_LAYER": "workqueue",
        "NUMBA_NUM_THREADS": "2",
    }
    done = subprocess.run([sys.executable, "-c", WORKQUEUE], env=kept, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.splitlines() == ["nnx uses none", "own kernels use workqueue", "True"]
