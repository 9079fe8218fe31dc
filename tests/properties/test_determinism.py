"""The same seed gives the same bits: kernel by kernel, training by training, with one thread and with two.

`python -m tests.properties.determinism` does so for every case that the conformance kit has.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hostcuda
import numpy as np
import pytest
from shadow import ShadowBackend

import nnx
from nnx import Backend, registry
from nnx.conformance.behaviour import _size
from nnx.conformance.cases import CASES
from tests.properties.determinism import Run, differences

PRODUCTS_OF_BLAS = {
    *("matmul", "linear", "linear_backward", "clip_by_global_norm", "conv2d", "conv2d_backward"),
    *("simple_rnn", "simple_rnn_backward", "lstm", "lstm_backward", "gru", "gru_backward"),
}
"""What NumPy's engine leaves to BLAS, which shares a sum out among its threads."""


@pytest.fixture(autouse=True)
def _threads_restored(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Leave as many threads as there were."""
    from threadpoolctl import threadpool_info

    before = [pool["num_threads"] for pool in threadpool_info()]
    monkeypatch.setattr(registry, "_num_threads", None)
    yield
    nnx.set_num_threads(max(before, default=1))


def largest(size: int) -> Iterator[Run]:
    """Yield of every kernel the largest case of at most so many elements."""
    for kernel in dict.fromkeys(case.kernel for case in CASES):
        case = max((case for case in CASES if case.kernel == kernel and _size(case) <= size), key=_size)
        yield Run(case, case.dtypes[0])


def test_every_kernel_gives_the_same_bits_again_and_wherever_its_arrays_lie(engine: Backend) -> None:
    """With one thread and with two; other numbers of threads may give other bits where BLAS is at work."""
    found = differences(engine, largest(40_000))
    assert found.again == (set(), set())
    assert found.elsewhere == set()
    assert found.threads <= (PRODUCTS_OF_BLAS if engine.name == "numpy" else set())


def layers() -> list[nnx.Layer]:
    return [
        nnx.Conv2D(8, 3, padding="same", activation="relu"),
        nnx.MaxPool2D(2),
        nnx.BatchNorm(),
        nnx.SpatialDropout(0.2),
        nnx.Reshape((16, 32)),
        nnx.Bidirectional(nnx.LSTM(24, return_sequences=True)),
        nnx.GRU(24),
        nnx.Dropout(0.3),
        nnx.LayerNorm(),
        nnx.Dense(3),
    ]


def trained(backend: Backend, threads: int) -> list[Any]:
    """Train from one seed; return losses, weights and predictions as bytes."""
    nnx.set_num_threads(threads)
    random = np.random.default_rng(5)
    x, y = random.normal(size=(60, 16, 16, 1)), random.integers(0, 3, 60)
    model = nnx.Sequential(layers(), seed=4, backend=backend)
    model.compile("softmax_cross_entropy", nnx.AdamW(0.01))
    history = model.fit(x, y, epochs=2, batch_size=40)
    return [history["loss"], *(value.tobytes() for value in (*model.get_weights().values(), model.predict(x)))]


def test_two_trainings_from_one_seed_end_with_the_same_bits(engine: Backend) -> None:
    runs = [trained(engine, threads) for threads in (1, 1, 2, 2)]
    assert runs[0] == runs[1]
    assert runs[2] == runs[3]
    if engine.name != "numpy":
        assert runs[0] == runs[2], "the number of threads changes the results"


@pytest.mark.skipif(hostcuda.unavailable() is not None, reason=str(hostcuda.unavailable()))
def test_cuda_kernels_give_the_same_bits_whatever_the_order_of_their_threads() -> None:
    """Each kernel's largest case of few elements, by schedules that run threads in opposite and in mixed order."""
    shadows = [ShadowBackend(seed) for seed in (0, 1)]
    for run in largest(4000):
        first, second = (run.bits(shadow) for shadow in shadows)
        assert first == second, f"{run.case.kernel} {run.case.label} depends on the schedule"


def test_no_cuda_kernel_adds_floating_numbers_in_the_order_in_which_threads_come() -> None:
    """The one atomic operation counts the blocks that are done; the last adds in the order of their numbers."""
    folder = Path(nnx.__path__[0]).parent / "backends" / "nnx_cupy"
    sources = [*folder.glob("*.cu"), *folder.glob("*.cuh")]
    pattern = re.compile(r"\batomic[A-Z]\w*|\bred\.\w+")
    used = {(path.name, name) for path in sources for name in pattern.findall(path.read_text())}
    assert used == {("common.cuh", "atomicInc")}
    assert "unsigned* arrivals" in (folder / "common.cuh").read_text()
