"""What is particular to the NumPy backend; that its kernels are right is checked by the conformance kit."""

from __future__ import annotations

import re
import threading
import tracemalloc
import warnings
from typing import Any

import numpy as np
import pytest

from nnx import reference
from nnx.interface import ELEMENTWISE, Tape
from nnx_numpy import NumpyBackend
from nnx_numpy.workspace import BLOCK, Workspace

FLOAT32 = np.dtype(np.float32)


@pytest.fixture
def backend() -> NumpyBackend:
    return NumpyBackend()


def normal(backend: NumpyBackend, *shape: int, seed: int = 0) -> Any:
    return backend.asarray(np.random.default_rng(seed).standard_normal(shape), "float32")


def dense_step(backend: NumpyBackend, rows: int, inputs: int, classes: int) -> Tape:
    """Record dense, batch norm, relu, dropout, softmax cross-entropy, their gradients and Adam."""
    empty, zeros = backend.empty, backend.zeros
    parameters, gradients = normal(backend, inputs * classes, seed=1), zeros((inputs * classes,), "float32")
    w, dw = parameters.reshape(inputs, classes), gradients.reshape(inputs, classes)
    x, labels = normal(backend, rows, inputs), backend.zeros((rows,), "int64")
    gamma, beta, running_mean, running_var = (zeros((classes,), "float32") + 1 for _ in range(4))
    mean, rstd, dgamma, dbeta = (empty((classes,), "float32") for _ in range(4))
    z, h, a, kept, da, dh, dz = (empty((rows, classes), "float32") for _ in range(7))
    loss, rate, step = zeros((), "float32"), zeros((), "float32") + 1e-3, zeros((), "int64")
    m, v = (zeros(parameters.shape, "float32") for _ in range(2))
    tape = Tape()
    tape.append(backend.linear, (x, w, None, z, "identity", 0.0))
    tape.append(backend.batch_norm, (z, gamma, beta, running_mean, running_var, h, mean, rstd, 0.1, 1e-5))
    tape.append(backend.activate, (h, a, "relu", 0.0))
    tape.append(backend.dropout, (a, step, kept, 1, 2, 40000))
    tape.append(backend.softmax_cross_entropy, (kept, labels, None, loss, da, 0.1))
    tape.append(backend.dropout, (da, step, dz, 1, 2, 40000))
    tape.append(backend.activate_backward, (h, a, dz, dh, "relu", 0.0))
    tape.append(backend.batch_norm_backward, (z, gamma, mean, rstd, dh, dz, dgamma, dbeta))
    tape.append(backend.linear_backward, (x, z, dz, w, None, None, dw, None, "identity", 0.0))
    tape.append(backend.adam, (parameters, gradients, m, v, step, rate, 0.9, 0.999, 1e-8, 0.0))
    tape.append(backend.increment, (step,))
    return tape


def test_a_step_allocates_nothing_once_it_has_run(backend: NumpyBackend) -> None:
    rows, classes = 2048, 300
    program = backend.compile(dense_step(backend, rows, 400, classes))
    program.run(2)
    tracemalloc.start()
    try:
        program.run(1)  # the tracer's own first entries
        tracemalloc.reset_peak()
        before, _ = tracemalloc.get_traced_memory()
        program.run(3)
        after, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    smallest_matrix = 4 * rows * classes
    assert peak - before < smallest_matrix / 10  # NumPy casts and spreads by way of buffers of 8192 elements
    assert after - before < 4096


def test_products_read_transposed_operands_in_place(backend: NumpyBackend) -> None:
    x, dz, dw = normal(backend, 512, 640), normal(backend, 512, 384), backend.empty((640, 384), "float32")
    backend.matmul(x, dz, dw, True, False)
    tracemalloc.start()
    try:
        backend.matmul(x, dz, dw, True, False)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < x.nbytes / 20
    np.testing.assert_allclose(dw, x.T @ dz, rtol=1e-4, atol=1e-4)


def test_threads_do_not_share_scratch(backend: NumpyBackend) -> None:
    shape, calls, threads = (BLOCK + 100,), 20, 4
    inputs = [normal(backend, *shape, seed=seed) for seed in range(threads)]
    expected = [np.empty_like(x) for x in inputs]
    results = [np.empty_like(x) for x in inputs]
    for x, y in zip(inputs, expected, strict=True):
        backend.activate(x, y, "softplus", 0.0)
    mismatches: list[int] = []
    start = threading.Barrier(threads)

    def work(index: int) -> None:
        start.wait()
        for _ in range(calls):
            backend.activate(inputs[index], results[index], "softplus", 0.0)
            if not np.array_equal(results[index], expected[index]):
                mismatches.append(index)

    workers = [threading.Thread(target=work, args=(index,)) for index in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not mismatches


def test_a_slot_is_one_buffer_that_grows() -> None:
    own = Workspace()
    small = own.take("slot", (2, 3), FLOAT32)
    assert np.shares_memory(small, own.take("slot", (5,), FLOAT32))
    large = own.take("slot", (BLOCK + 1,), FLOAT32)
    assert not np.shares_memory(small, large)
    assert np.shares_memory(large, own.take("slot", (2, 3), FLOAT32))
    assert not np.shares_memory(large, own.take("another", (2, 3), FLOAT32))


def test_many_shapes_do_not_pile_up() -> None:
    own = Workspace()
    for size in range(5000):
        own.take("slot", (size,), FLOAT32)
    assert len(own._views) <= 1024


@pytest.mark.parametrize("rows", [1, 64, 65, 3 * BLOCK // 64])
@pytest.mark.parametrize("features", [1, 16, 17, 255, 256, 257, 1000])
@pytest.mark.parametrize("step", [0, 5])
def test_bits_of_any_shape_agree_with_the_reference(
    backend: NumpyBackend, rows: int, features: int, step: int
) -> None:
    counter, got, expected = np.asarray(step), *np.empty((2, rows, features), np.int32)
    backend.random_bits(counter, got, 2**64 - 1, 7)
    reference.random_bits(backend.xp, counter, expected, 2**64 - 1, 7)
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_normal_distribution_agrees_with_scipy(backend: NumpyBackend, dtype: str) -> None:
    from scipy.special import ndtr

    x = backend.asarray(np.linspace(-8, 8, 4001), dtype)
    y = np.empty_like(x)
    backend.activate(x, y, "gelu", 0.0)
    wide = x.astype(np.float64)
    np.testing.assert_allclose(y, wide * ndtr(wide), rtol=300 * np.finfo(dtype).eps, atol=0)


@pytest.mark.parametrize("activation", ELEMENTWISE)
def test_extreme_values_raise_no_warning(backend: NumpyBackend, activation: str) -> None:
    x = backend.asarray(np.asarray([np.inf, -np.inf, np.nan, 1e38, -1e38, 1e-45]), "float32")
    y, dx = np.empty_like(x), np.empty_like(x)
    with np.errstate(all="raise"), warnings.catch_warnings():
        warnings.simplefilter("error")
        backend.activate(x, y, activation, 0.5)
        backend.activate_backward(x, y, x, dx, activation, 0.5)
    assert np.isnan(y[2])


@pytest.mark.parametrize("columns", [3, 32, 33])
def test_an_infinite_bias_stays_in_its_column(backend: NumpyBackend, columns: int) -> None:
    x, w = backend.zeros((200, 4), "float32"), backend.zeros((4, columns), "float32")
    b, y = backend.zeros((columns,), "float32"), backend.empty((200, columns), "float32")
    b[:3] = np.inf, np.nan, 1e-45
    backend.linear(x, w, b, y, "identity", 0.0)
    np.testing.assert_array_equal(y, np.broadcast_to(b, y.shape))


def test_a_batch_of_equal_rows_has_no_negative_variance(backend: NumpyBackend) -> None:
    x = backend.asarray(np.full((7, 50), np.pi * 1e9), "float32")
    gamma, beta, running_mean, running_var, mean, rstd = (backend.zeros((50,), "float32") for _ in range(6))
    backend.batch_norm(x, gamma, beta, running_mean, running_var, np.empty_like(x), mean, rstd, 0.1, 1e-12)
    assert np.isfinite(rstd).all()
    assert (running_var >= 0).all()


def test_clipping_survives_squares_out_of_range(backend: NumpyBackend) -> None:
    for size in (1e-30, 1e30):
        g, norm = backend.asarray(np.full(4, size), "float32"), np.zeros((), np.float32)
        backend.clip_by_global_norm(g, norm, size)
        np.testing.assert_allclose(norm, 2 * size, rtol=1e-6)
        np.testing.assert_allclose(g, size / 2, rtol=1e-6)


def test_device_names_the_threads_of_the_products(backend: NumpyBackend) -> None:
    assert re.search(r"\S+.*, \d+ threads?$", backend.device())


def test_device_is_told_without_information(backend: NumpyBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("threadpoolctl.threadpool_info", list)
    monkeypatch.setattr("pathlib.Path.read_text", lambda *_: "")
    assert backend.device()
