"""Products with one row or one column: sizes that straddle tiles, lines, stretches and strips."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
import pytest

pytest.importorskip("numba")

from nnx_numba import linear
from nnx_numba.launches import collecting, working_memory

EXTENTS = [0, 1, 2, 3, 5, 16, 17, 33, 209, 2050]
DEPTHS = [0, 1, 2, 7, 8, 9, 17, 128, 129, 513, 1030, 4097, 9000]
SIZES = [(extent, depth) for extent in EXTENTS for depth in DEPTHS if extent * depth < 300_000]
TURNED = [(False, False), (True, False), (False, True), (True, True)]


def operands(rows: int, depth: int, columns: int, kind: str) -> tuple[Any, ...]:
    random = np.random.default_rng(rows + depth + columns)
    return tuple(random.standard_normal(n).astype(kind) for n in ((rows, depth), (depth, columns), columns))


def product(a: Any, b: Any, bias: Any, turned: tuple[bool, bool]) -> Any:
    """Multiply operands that lie transposed where `turned` says so."""
    out = np.full((a.shape[0], b.shape[1]), np.nan, a.dtype)
    lying = [np.ascontiguousarray(x.T) if turn else x for x, turn in zip((a, b), turned, strict=True)]
    linear._multiply(*lying, bias, out, turned)
    return out


def assert_close(found: Any, a: Any, b: Any, bias: Any) -> None:
    """Compare with float64 or better: blocks of at most 64 terms in a row, and their sums one after the other."""
    wide_a, wide_b = a.astype(np.longdouble), b.astype(np.longdouble)
    terms = np.abs(wide_a) @ np.abs(wide_b) + np.abs(bias)
    depth = a.shape[1]
    bound = (min(depth, 72) + depth / 512 + 3) * np.finfo(a.dtype).eps * terms
    assert (np.abs(found - (wide_a @ wide_b + bias)) <= bound).all()


@pytest.mark.parametrize("kind", ["f4", "f8"])
@pytest.mark.parametrize("turned", TURNED, ids=str)
@pytest.mark.parametrize("wide", [False, True], ids=["column", "row"])
def test_every_size_is_multiplied(wide: bool, turned: tuple[bool, bool], kind: str) -> None:
    for extent, depth in SIZES:
        a, b, bias = operands(1 if wide else extent, depth, extent if wide else 1, kind)
        assert_close(product(a, b, None, turned), a, b, 0)
        assert_close(product(a, b, bias, turned), a, b, bias)


@pytest.mark.parametrize("turned", TURNED, ids=str)
def test_a_long_sum_is_taken_in_blocks(turned: tuple[bool, bool]) -> None:
    """Added one after the other, a million tenths in float32 are wrong by a hundredth."""
    a, b = np.full((1, 1_000_000), 0.1, np.float32), np.ones((1_000_000, 3), np.float32)
    exact = 1_000_000 * float(np.float32(0.1))
    for found in (product(a, b[:, :1], None, turned), product(a, b, None, turned)):
        np.testing.assert_allclose(found, exact, rtol=1e-4)


@pytest.mark.parametrize("turned", TURNED, ids=str)
def test_not_a_number_stays_in_its_element(turned: tuple[bool, bool]) -> None:
    a, b, _ = operands(21, 37, 1, "f4")
    a[2, 1], a[6, 36] = np.nan, np.inf
    for out in (product(a, b, None, turned), product(b.T.copy(), a.T.copy(), None, turned).T):
        assert np.isnan(out[2]).all()
        assert np.isinf(out[6]).all()
        assert np.isfinite(np.delete(out, [2, 6], 0)).all()


@pytest.mark.parametrize("turned", TURNED, ids=str)
@pytest.mark.parametrize("shape", [(5, 3, 1), (33, 40, 1), (1, 300, 31), (1, 5, 2050)], ids=str)
def test_nothing_is_written_outside_the_destination(shape: tuple[int, int, int], turned: tuple[bool, bool]) -> None:
    a, b, _ = operands(*shape, "f4")
    size = shape[0] * shape[2]
    memory = np.full(size + 128, 7.0, np.float32)
    lying = [np.ascontiguousarray(x.T) if turn else x for x, turn in zip((a, b), turned, strict=True)]
    linear._multiply(*lying, None, memory[64 : 64 + size].reshape(shape[0], shape[2]), turned)
    assert (memory[:64] == 7).all()
    assert (memory[64 + size :] == 7).all()


@pytest.mark.parametrize("turned", TURNED, ids=str)
def test_operands_may_lie_at_any_address_and_in_any_order(turned: tuple[bool, bool]) -> None:
    a, b, _ = operands(33, 70, 1, "f4")
    lying = [x.T if turn else x for x, turn in zip((a, b), turned, strict=True)]
    shifted = [np.empty(x.size + 1, np.float32)[1:].reshape(x.shape) for x in lying]
    strided = [np.empty((2 * x.shape[0], 3 * x.shape[1]), np.float32)[::2, ::3] for x in lying]
    for places in (shifted, strided):
        for place, x in zip(places, lying, strict=True):
            place[...] = x
        out = np.empty((33, 1), np.float32)
        linear._multiply(*places, None, out, turned)
        assert_close(out, a, b, 0)


@pytest.mark.parametrize("kind", ["f4", "f8"])
@pytest.mark.parametrize("turned", TURNED, ids=str)
@pytest.mark.parametrize("shape", [(77, 5000, 1), (1, 700, 3000), (1, 50_000, 1), (600, 1, 1)], ids=str)
def test_shares_of_the_work_give_the_same_bits(
    shape: tuple[int, int, int], turned: tuple[bool, bool], kind: str
) -> None:
    a, b, _ = operands(*shape, kind)
    lying = [np.ascontiguousarray(x.T) if turn else x for x, turn in zip((a, b), turned, strict=True)]
    found = []
    for share in (1, 3, 1 << 40):
        out = np.full((shape[0], shape[2]), np.nan, kind)
        with collecting() as recording:
            linear._multiply(*lying, None, out, turned)
        for launch in recording.launches:
            for first in range(0, launch.count, share):
                run_units(launch, first, min(first + share, launch.count))
        found.append(out)
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])


def run_units(launch: Any, first: int, last: int) -> None:
    memory = working_memory()
    kinds = ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p
    ctypes.CFUNCTYPE(None, *kinds)(launch.address)(launch.row.ctypes.data, first, last, memory.ctypes.data)
