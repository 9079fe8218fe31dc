"""Accesses of 16 bytes: where arrays lie never changes a result, and the machine code has them."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator
from typing import Any

import hostcuda
import numpy as np
import pytest
from hostcuda import HostModule, nvrtc
from shadow import ShadowBackend

from nnx.interface import ELEMENTWISE
from nnx_cupy.kernels import OPTIONS, source_text

on_the_cpu = pytest.mark.skipif(hostcuda.unavailable() is not None, reason=str(hostcuda.unavailable()))

Place = Callable[..., Any]


def at(offset: int, values: Any) -> Any:
    """A copy whose first element lies `offset` elements behind a boundary of 64 bytes, in a frame of NaN."""
    values = np.asarray(values)
    room = np.full(values.nbytes + 192, 0xFF, "uint8")
    start = -room.ctypes.data % 64 + offset * values.itemsize
    placed = room[start : start + values.nbytes].view(values.dtype).reshape(values.shape)
    placed[...] = values
    return placed


def normal(size: Any, dtype: str, seed: int = 0) -> Any:
    return np.random.default_rng(seed).standard_normal(size).astype(dtype)


def elementwise(backend: ShadowBackend, dtype: str, place: Place) -> Iterator[Any]:
    for name in ELEMENTWISE:
        x, dy, y, dx = (place(array) for array in normal((4, 1027), dtype))
        backend.activate(x, y, name, 0.25)
        backend.activate_backward(x, y, dy, dx, name, 0.25)
        yield from (y, dx)


def updates(backend: ShadowBackend, dtype: str, place: Place) -> Iterator[Any]:
    p, g, m, v = (place(array) for array in np.abs(normal((4, 1027), dtype)))
    lr, step, norm, loss = np.array(0.1, dtype), np.array(3), np.zeros((), dtype), np.ones((), dtype)
    backend.l2_penalty(p, g, loss, 0.3)
    backend.clip_by_global_norm(g, norm, 2.5)
    backend.adamw(p, g, m, v, step, lr, 0.9, 0.999, 1e-8, 0.0, 0.1, 514)
    backend.momentum(p, g, m, lr, 0.9)
    backend.nesterov(p, g, m, lr, 0.9)
    backend.rmsprop(p, g, v, lr, 0.9, 1e-8)
    backend.sgd(p, g, lr)
    yield from (p, g, m, v, norm, loss)


def losses(backend: ShadowBackend, dtype: str, place: Place) -> Iterator[Any]:
    y, t, dy = (place(array) for array in normal((3, 103, 7), dtype))
    loss, weight = np.empty((), dtype), place(np.abs(normal(103, dtype)))
    backend.huber(y, t, weight, loss, dy, 0.7)
    yield from (loss.copy(), dy.copy())
    backend.mean_squared_error(y, t, None, loss, None)
    backend.add(y, t, dy)
    yield from (loss, dy)


def random(backend: ShadowBackend, dtype: str, place: Place) -> Iterator[Any]:
    for features in (64, 37, 2):
        x, y = place(normal((30, features), dtype)), place(np.empty((30, features), dtype))
        bits = place(np.empty((30, features), "int32"))
        backend.dropout(x, np.array(5), y, 1, 2, 40000)
        backend.random_bits(np.array(5), bits, 1, 2)
        yield from (y, bits)


def batch_norm(backend: ShadowBackend, dtype: str, place: Place) -> Iterator[Any]:
    for columns in (8, 33):
        x, y, dy, dx = (place(array) for array in normal((4, 300, columns), dtype))
        gamma, beta, mean, rstd, running_mean, running_var, dgamma, dbeta = (
            place(array) for array in np.abs(normal((8, columns), dtype))
        )
        backend.batch_norm(x, gamma, beta, running_mean, running_var, y, mean, rstd, 0.1, 1e-5)
        backend.batch_norm_backward(x, gamma, mean, rstd, dy, dx, dgamma, dbeta)
        yield from (y, mean, rstd, running_mean, running_var, dx, dgamma, dbeta)


def rows(backend: ShadowBackend, dtype: str, place: Place) -> Iterator[Any]:
    for columns in (1, 3, 8):
        source, out = place(normal((50, columns), dtype)), place(np.empty((20, columns), dtype))
        order = np.random.default_rng(1).permutation(50)
        backend.take_rows(source, order, np.array(1), out, 20)
        np.testing.assert_array_equal(out, source[order[20:40]])
        yield out


@on_the_cpu
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("program", [elementwise, updates, losses, random, batch_norm, rows])
def test_where_arrays_lie_changes_no_bit(program: Callable[..., Iterator[Any]], dtype: str) -> None:
    shadow = ShadowBackend(module=functools.partial(HostModule, check_memory=True))
    expected = list(program(shadow, dtype, functools.partial(at, 0)))
    for place in (functools.partial(at, 1), Scatter()):
        for got, right in zip(list(program(shadow, dtype, place)), expected, strict=True):
            np.testing.assert_array_equal(got, right)


class Scatter:
    """Puts every array somewhere else: some on a boundary, some not."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, values: Any) -> Any:
        self.count += 1
        return at((0, 3, 2, 0, 1)[self.count % 5], values)


WIDE = {
    "activations": ("activate<{0}, Relu>", "activate_backward<{0}, Tanh>"),
    "dropout": ("dropout<{0}>",),
    "indexing": ("add<{0}>",),
    "library": ("bias_activation<{0}, Relu>", "gradient_sums<{0}, Relu, {1}>"),
    "losses": ("elementwise_loss<{0}, SquaredError>",),
    "normalization": (
        "batch_norm_statistics<{0}, {1}>",
        "batch_norm_apply<{0}, {1}>",
        "batch_norm_slope<{0}, {1}>",
    ),
    "updates": ("adam<{0}>", "sgd<{0}>", "momentum<{0}>", "l2_penalty<{0}>", "clip<{0}>"),
}


@pytest.mark.parametrize(("c_type", "lanes"), [("float", 4), ("double", 2)])
@pytest.mark.parametrize("source", WIDE)
@pytest.mark.skipif(nvrtc.unavailable() is not None, reason=str(nvrtc.unavailable()))
def test_kernels_bound_by_memory_have_accesses_of_16_bytes(source: str, c_type: str, lanes: int) -> None:
    for pattern in WIDE[source]:
        name = pattern.format(c_type, lanes)
        text = nvrtc.ptx(source_text(source), "compute_80", OPTIONS, [name])
        assert re.search(rf"ld\.global[.\w:]*\.v{lanes}\.", text), name
        if "statistics" not in name:
            assert re.search(rf"st\.global[.\w:]*\.v{lanes}\.", text), name
