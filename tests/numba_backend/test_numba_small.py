"""Layers so small that they run without BLAS."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest

from nnx import reference
from nnx.interface import FUSED

pytest.importorskip("numba")

from nnx_numba import small

WAYS = ("without BLAS", "with BLAS")
SHAPES = [(1, 1, 1), (3, 5, 7), (5, 17, 16), (4, 8, 33), (64, 2, 16), (300, 3, 2), (64, 32, 32), (209, 20, 7)]
SHAPES += [(0, 3, 4), (3, 0, 4), (3, 4, 0), (2, 257, 9), (40, 36, 40), (257, 20, 17)]


def layer(rows: int, inputs: int, outputs: int, kind: str) -> list[Any]:
    """Return x, w, b, dy."""
    random = np.random.default_rng(rows + inputs + outputs)
    shapes = [(rows, inputs), (inputs, outputs), (outputs,), (rows, outputs)]
    return [random.standard_normal(shape).astype(kind) for shape in shapes]


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Force one way, whatever the size."""
    chosen: str = request.param
    for name in ("is_small", "is_small_backward"):
        monkeypatch.setattr(f"nnx_numba.linear.{name}", lambda *_: chosen == WAYS[0])
    return chosen


def assert_close(found: Any, wanted: Any, terms: Any, depth: int, kind: str) -> None:
    np.testing.assert_array_less(np.abs(found - wanted), (depth + 8) * np.finfo(kind).eps * (terms + 1))


@pytest.mark.parametrize("kind", ["f4", "f8"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.usefixtures("way")
def test_both_ways_agree_with_the_reference_at_any_size(
    backend: Any, shape: tuple[int, int, int], kind: str
) -> None:
    x, w, b, dy = layer(*shape, kind)
    y, dz, dx, dw, db = np.empty_like(dy), np.empty_like(dy), np.empty_like(x), np.empty_like(w), np.empty_like(b)
    backend.linear(x, w, b, y, "tanh", 0.0)
    backend.linear_backward(x, y, dy, w, dz, dx, dw, db, "tanh", 0.0)
    x, w, b, dy = (array.astype(np.longdouble) for array in (x, w, b, dy))
    wanted, slope = np.empty(y.shape, np.longdouble), dy * (1 - y.astype(np.longdouble) ** 2)
    reference.linear(np, x, w, b, wanted, "tanh", 0.0)
    rows, inputs, outputs = shape
    assert_close(y, wanted, np.abs(x) @ np.abs(w) + np.abs(b), inputs, kind)
    assert_close(dz, slope, np.abs(slope), 1, kind)
    assert_close(dx, slope @ w.T, np.abs(slope) @ np.abs(w).T, outputs, kind)
    assert_close(dw, x.T @ slope, np.abs(x).T @ np.abs(slope), rows, kind)
    assert_close(db, slope.sum(0), np.abs(slope).sum(0), rows, kind)


@pytest.mark.parametrize("activation", FUSED)
@pytest.mark.parametrize("wanted", ["all", "neither dx nor db"])
def test_the_ways_agree_whatever_is_asked_for(
    backend: Any, activation: str, wanted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, w, b, dy = layer(33, 18, 21, "f4")
    found: list[list[Any]] = []
    for small_way in (True, False):
        for name in ("is_small", "is_small_backward"):
            monkeypatch.setattr(f"nnx_numba.linear.{name}", lambda *_, answer=small_way: answer)
        y, dw = np.empty_like(dy), np.empty_like(w)
        dz = None if activation == "identity" else np.empty_like(dy)
        dx, db = (np.empty_like(x), np.empty_like(b)) if wanted == "all" else (None, None)
        backend.linear(x, w, b if wanted == "all" else None, y, activation, 0.3)
        backend.linear_backward(x, y, dy, w, dz, dx, dw, db, activation, 0.3)
        found.append([array for array in (y, dz, dx, dw, db) if array is not None])
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)


@pytest.mark.usefixtures("way")
def test_not_a_number_stays_in_its_row(backend: Any) -> None:
    x, w, b, _ = layer(9, 5, 33, "f4")
    x[2, 1], x[6, 4] = np.nan, np.inf
    y = np.empty((9, 33), np.float32)
    backend.linear(x, w, b, y, "identity", 0.0)
    assert np.isnan(y[2]).all()
    assert np.isinf(y[6]).all()
    assert np.isfinite(np.delete(y, [2, 6], 0)).all()


@pytest.mark.usefixtures("way")
def test_nothing_is_written_outside_a_destination(backend: Any) -> None:
    x, w, b, dy = layer(5, 3, 7, "f4")
    memory = np.full((3, 67), 7.0, np.float32)
    y, dz, dw = (row[16 : 16 + size].reshape(-1, 7) for row, size in zip(memory, (35, 35, 21), strict=True))
    backend.linear(x, w, b, y, "relu", 0.0)
    backend.linear_backward(x, y, dy, w, dz, None, dw, None, "relu", 0.0)
    assert (memory[:, :16] == 7).all()
    assert (memory[:, 51:] == 7).all()
    assert (memory[2, 37:] == 7).all()


@pytest.mark.parametrize(("inputs", "outputs"), [(2, 16), (20, 7), (16, 1)])
def test_one_row_more_changes_the_way_and_not_the_result(backend: Any, inputs: int, outputs: int) -> None:
    rows = next(n for n in range(1, 10_000) if not small.is_small(n, inputs, outputs, 4))
    assert small.is_small(rows - 1, inputs, outputs, 4)
    x, w, b, _ = layer(rows, inputs, outputs, "f4")
    fewer, more = np.empty((rows - 1, outputs), np.float32), np.empty((rows, outputs), np.float32)
    backend.linear(x[:-1], w, b, fewer, "tanh", 0.0)
    backend.linear(x, w, b, more, "tanh", 0.0)
    np.testing.assert_allclose(fewer, more[:-1], rtol=1e-5, atol=1e-5)


def test_work_grows_with_every_extent() -> None:
    for extent in range(3):
        sizes = [[8, 8, 8], [8, 8, 8]]
        sizes[1][extent] = 100_000
        assert small.is_small(*sizes[0], 4)
        assert not small.is_small(*sizes[1], 4)
        assert small.is_small_backward(*sizes[0], 4, True)
        assert not small.is_small_backward(*sizes[1], 4, True)


def test_a_small_layer_allocates_nothing_once_it_has_run(backend: Any) -> None:
    x, w, b, dy = layer(64, 20, 16, "f4")
    y, dz, dx, dw, db = np.empty_like(dy), np.empty_like(dy), np.empty_like(x), np.empty_like(w), np.empty_like(b)

    def step() -> None:
        backend.linear(x, w, b, y, "relu", 0.0)
        backend.linear_backward(x, y, dy, w, dz, dx, dw, db, "relu", 0.0)

    step()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    tracemalloc.reset_peak()
    step()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak - before < 2048, "tuples and numbers aside, nothing is allocated"
