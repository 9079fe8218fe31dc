"""What a step costs besides its arithmetic: allocations, compilations."""

from __future__ import annotations

import re
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnx.interface import Tape
from numba_backend.support import normal, outcome, start

pytest.importorskip("numba")

from nnx_numba import hostarrays
from nnx_numba.activations import _FORWARD


def dense_step(backend: Any) -> Tape:
    """Record dense, batch norm, dropout, cross-entropy, their gradients and Adam, too little to deal out."""
    x, labels, w, b = normal(64, 100), np.arange(64) % 30, normal(100, 30, seed=1), normal(30, seed=2)
    gamma, beta, running_mean, running_var, mean, rstd, dgamma, dbeta, db = np.ones((9, 30), np.float32)
    z, h, dz, dh, dx = np.empty((5, 64, 30), np.float32)
    loss, rate, step = np.zeros((), "f4"), np.full((), 1e-3, "f4"), np.zeros((), "i8")
    p, g, m, v = np.ones((4, 3000), np.float32)
    statistics = running_mean, running_var, h, mean, rstd
    tape = Tape()
    tape.append(backend.linear, (x, w, b, z, "relu", 0.0))
    tape.append(backend.batch_norm, (z, gamma, beta, *statistics, 0.1, 1e-5))
    tape.append(backend.dropout, (h, step, dx, 1, 2, 40000))
    tape.append(backend.softmax_cross_entropy, (dx, labels, None, loss, dh, 0.1))
    tape.append(backend.batch_norm_backward, (z, gamma, mean, rstd, dh, dx, dgamma, dbeta))
    tape.append(backend.linear_backward, (x, z, dx, w, dz, None, g.reshape(100, 30), db, "relu", 0.0))
    tape.append(backend.clip_by_global_norm, (g, loss, 1.0))
    tape.append(backend.adam, (p, g, m, v, step, rate, 0.9, 0.999, 1e-8, 0.0))
    tape.append(backend.increment, (step,))
    return tape


def test_a_step_allocates_nothing_once_it_has_run(backend: Any) -> None:
    program = backend.compile(dense_step(backend))
    program.run(2)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    tracemalloc.reset_peak()
    program.run(3)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak - before < 4096, "views and numbers aside, nothing is allocated"


def test_no_kernel_allocates_from_compiled_code(package: Path) -> None:
    program = """
import numpy as np
from nnx_numba import NumbaBackend, batchnorm, losses, updates
from nnx_numba.cache import cache_folder
backend = NumbaBackend()
x, dx, labels = np.ones((8, 6), "f4"), np.ones((8, 6), "f4"), np.zeros(8, "i8")
columns, loss, g = np.ones((6, 6), "f4"), np.zeros((), "f4"), np.ones(40, "f4")
backend.batch_norm(x, *columns[:4], dx, *columns[4:], 0.1, 1e-5)
backend.softmax_cross_entropy(x, labels, None, loss, dx, 0.1)
backend.mean_squared_error(x, x, None, loss, dx)
backend.clip_by_global_norm(g, loss, 1.0)
code = {path.name: path.read_bytes() for path in cache_folder().glob("*.nbc")}
kernels = batchnorm.batch_norm, losses.cross_entropy, losses._SQUARED, updates.squares, updates.clip
print(all(any(name.startswith(kernel.name) for name in code) for kernel in kernels))
print(sum(b"NRT_" in content or b"alloc" in content for content in code.values()))
"""
    assert outcome(start(program, package)) == ["True", "0"]


def test_a_read_only_or_strided_input_is_compiled_once(backend: Any) -> None:
    x = normal(8, 6)
    y = np.empty((8, 6), np.float32)
    backend.activate(x, y, "tanh", 0.0)
    known = len(_FORWARD["tanh"]._entries)
    frozen = x.copy()
    frozen.flags.writeable = False
    backend.activate(frozen, y, "tanh", 0.0)
    backend.activate(np.repeat(x, 2, axis=1)[:, ::2], y, "tanh", 0.0)
    assert len(_FORWARD["tanh"]._entries) == known
    assert hostarrays.plain(frozen).ctypes.data == frozen.ctypes.data
    np.testing.assert_allclose(y, np.tanh(x), rtol=1e-6)


def test_the_device_names_numba_and_the_threads(backend: Any) -> None:
    assert re.fullmatch(r"CPU, Numba \S+, \d+-bit vectors, \d+ threads?", backend.device())
