"""Sweeps: what lies at the ends of vectors, and beyond the end of an array."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

numba = pytest.importorskip("numba")

from nnx_numba.jit import FLAGS  # noqa: E402
from nnx_numba.sweeps import passes, sweep  # noqa: E402
from nnx_numba.vectors import LARGEST, TOTAL, WIDE_TOTAL  # noqa: E402

SIZES = (0, 1, 2, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 80, 127, 128, 129, 1000)

_double = sweep(lambda x, k: (x * k, x, x, x.widened() * x.widened()), TOTAL, LARGEST, WIDE_TOTAL)
_centre = passes(
    (lambda x: x, TOTAL), (lambda x, total: x - total, LARGEST), (lambda x, total, top: x * top + total,)
)


@numba.njit(**FLAGS)
def double(x: Any, y: Any, k: Any) -> Any:
    return _double((y,), (x,), (k,))


@numba.njit(**FLAGS)
def centre(x: Any, y: Any) -> Any:
    for i in range(x.shape[0]):
        _centre(i, (y,), (x,), ())


@pytest.mark.parametrize("kind", ["f4", "f8"])
@pytest.mark.parametrize("size", SIZES)
def test_every_element_is_worked_on_once_and_none_beyond(size: int, kind: str) -> None:
    memory = np.full(size + 200, 7.0, kind)
    x, y = np.arange(1, size + 1).astype(kind) - 5, memory[100 : 100 + size]
    total, top, squares = double(x, y, x.dtype.type(2))
    np.testing.assert_array_equal(y, 2 * x)
    assert (memory[:100] == 7).all()
    assert (memory[100 + size :] == 7).all()
    assert (total, squares) == (x.sum(), (x.astype("f8") ** 2).sum())
    assert top == (x.max() if size else -np.inf)


@pytest.mark.parametrize("place", [0, 5, 64, 99])
def test_a_nan_anywhere_is_the_largest(place: int) -> None:
    x = np.ones(100, np.float32)
    x[place] = np.nan
    assert np.isnan(double(x, np.empty_like(x), np.float32(1))[1])


def test_squares_of_float32_are_added_without_overflow() -> None:
    x = np.full(100, 1e30, np.float32)
    assert double(x, np.empty_like(x), np.float32(1))[2] == pytest.approx(1e62, rel=1e-6)


@pytest.mark.parametrize("kind", ["f4", "f8"])
@pytest.mark.parametrize("columns", [1, 7, 8, 9, 16, 17, 64, 70, 200])
def test_rows_in_registers_and_rows_in_memory_pass_through_the_same_stages(columns: int, kind: str) -> None:
    x = np.arange(3 * columns).reshape(3, columns).astype(kind) % 5
    y = np.empty_like(x)
    centre(x, y)
    total = x.sum(1, keepdims=True)
    np.testing.assert_array_equal(y, x * (x - total).max(1, keepdims=True) + total)
