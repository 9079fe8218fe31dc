"""Users' own kernels of Numba in several threads: where its threads bear one call at a time, calls take turns."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest

import nnx
from nnx import registry
from nnx.ops import foreign
from nnx.ops.foreign import ForeignKernel


def numba_of(layer: str | None) -> Any:
    """Return something like the module, whose threading layer is this one; None for none so far."""

    def threading_layer() -> str:
        if layer is None:
            raise ValueError("Threading layer is not initialized.")
        return layer

    return SimpleNamespace(threading_layer=threading_layer)


IMPORTED_IN_PART = SimpleNamespace()


def turn_is_free() -> bool:
    """Tell whether another thread than this one could call a kernel that has to wait its turn."""

    def try_it() -> bool:
        free = foreign._turn.acquire(blocking=False)
        if free:
            foreign._turn.release()
        return free

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(try_it).result()


@pytest.mark.parametrize(
    ("numba", "alone"),
    [
        (None, False),
        (IMPORTED_IN_PART, True),
        (numba_of(None), True),
        (numba_of("workqueue"), True),
        (numba_of("omp"), False),
        (numba_of("tbb"), False),
    ],
    ids=["not there", "imported in part", "not chosen", "workqueue", "omp", "tbb"],
)
def test_kernels_of_users_have_their_turn_alone_unless_the_layer_is_known_to_bear_several(
    monkeypatch: pytest.MonkeyPatch, numba: Any, alone: bool
) -> None:
    monkeypatch.setitem(sys.modules, "numba", numba)
    free = list[bool]()
    ForeignKernel(lambda: free.append(turn_is_free()))()
    assert free == [not alone]
    assert turn_is_free()


def test_kernels_of_users_run_side_by_side_where_the_layer_bears_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numba", numba_of("omp"))
    meeting = threading.Barrier(2, timeout=60)
    kernel = ForeignKernel(meeting.wait)
    with ThreadPoolExecutor(2) as pool:
        calls = [pool.submit(kernel), pool.submit(kernel)]
        met = [call.exception() for call in calls]  # BrokenBarrierError if one had to wait for the other's end
    assert met == [None, None]


def test_kernels_of_the_backend_take_no_turns(backend: nnx.Backend) -> None:
    from nnx.ops import Ops

    ops, x = Ops(backend, "float32"), backend.zeros((3,), "float32")
    with ops.recording() as tape:
        ops.add(x, x)
        ops.call(print)
    assert [isinstance(call.kernel, ForeignKernel) for call in tape.calls] == [False, True]
    assert tape.calls[1].kernel.__name__ == "print"


WORKQUEUE = """
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
import numba, numpy as np
import nnx
from support.runs_at_once import same

nnx.set_num_threads(2)

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
    x = np.random.default_rng(1).normal(size=(1000, 20)).astype(np.float32)
    model = nnx.Sequential([nnx.Dense(1000), Sine(), nnx.Dense(3)], backend=backend)
    model.compile("softmax_cross_entropy").fit(x, np.arange(1000) % 3, epochs=2, batch_size=1000)
    return model.to_host().arrays

try:
    print("nnx uses", numba.threading_layer())
except ValueError:
    print("nnx uses none")
backends = ["numpy", "numba"] * 2
with ThreadPoolExecutor(4) as pool:
    together = list(pool.map(train, backends))
print("own kernels use", numba.threading_layer())
alone = {name: train(name) for name in backends}
print(all(same(one, alone[name]) for one, name in zip(together, backends)))
"""


@pytest.mark.skipif(not registry.describe("numba").available, reason="numba is not available")
@pytest.mark.parametrize(
    "setting",
    [
        {"NUMBA_THREADING_LAYER": "workqueue"},
        pytest.param(
            {"NUMBA_THREADING_LAYER": "forksafe"},
            marks=pytest.mark.skipif(sys.platform != "linux", reason="elsewhere OpenMP is safe to fork, too"),
        ),
        {"NUMBA_THREADING_LAYER_PRIORITY": "workqueue omp tbb"},
    ],
    ids=["workqueue", "forksafe", "priority"],
)
def test_parallel_kernels_of_users_whose_first_calls_are_in_four_fits_at_once_do_not_end_the_process(
    setting: dict[str, str],
) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("NUMBA_")}
    kept |= {"PYTHONPATH": os.pathsep.join(sys.path), "NUMBA_NUM_THREADS": "2", **setting}
    done = subprocess.run([sys.executable, "-c", WORKQUEUE], env=kept, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.splitlines() == ["nnx uses none", "own kernels use workqueue", "True"]
