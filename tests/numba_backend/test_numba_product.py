"""Products: every form of them, at sizes that straddle tiles, lines and blocks."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("numba")

from nnx_numba import linear
from nnx_numba.inner import MOST, ROWS
from nnx_numba.launches import collecting, working_memory
from nnx_numba.lines import REGISTER_BYTES

FORMS = ("direct", "direct by panels", "swapped", "swapped by panels", "inner")
SHAPES = [(1, 1, 1), (3, 5, 7), (5, 17, 16), (4, 8, 33), (31, 64, 32), (300, 3, 2), (64, 33, 31), (209, 20, 7)]
SHAPES += [(0, 3, 4), (3, 0, 4), (3, 4, 0), (2, 257, 9), (11, 1030, 21), (257, 20, 17), (250, 300, 150)]

Multiply = Callable[..., Any]


@pytest.fixture(params=FORMS)
def multiply(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Multiply:
    """Return a product that is made in one form, whatever it costs, or directly where that form cannot make it."""
    wanted, _, units = request.param.partition(" ")

    def chosen(rows: int, _depth: int, columns: int, size: int, left_turned: bool, _: bool, biased: bool) -> Any:
        if wanted == "inner" and columns <= MOST and not left_turned:
            return linear.Way(1.0, "inner", ROWS, False)
        if wanted == "swapped" and not biased:
            return linear.Way(1.0, "swapped", linear._height(columns, linear._lines(rows, size)), bool(units))
        return linear.Way(1.0, "direct", linear._height(rows, linear._lines(columns, size)), bool(units))

    monkeypatch.setattr(linear, "way", chosen)
    return linear._multiply


def operands(size: tuple[int, int, int], kind: str) -> tuple[Any, ...]:
    random = np.random.default_rng(sum(size))
    rows, depth, columns = size
    return tuple(
        random.standard_normal(extents).astype(kind) for extents in ((rows, depth), (depth, columns), columns)
    )


def assert_close(found: Any, a: Any, b: Any, bias: Any) -> None:
    """Compare with float64 or better: each sum may be wrong by an ulp of its terms for every term."""
    wide_a, wide_b = a.astype(np.longdouble), b.astype(np.longdouble)
    terms = np.abs(wide_a) @ np.abs(wide_b) + np.abs(bias)
    bound = (a.shape[1] + 2) * np.finfo(a.dtype).eps * terms
    assert (np.abs(found - (wide_a @ wide_b + bias)) <= bound).all()


@pytest.mark.parametrize("kind", ["f4", "f8"])
@pytest.mark.parametrize("turned", [(False, False), (True, False), (False, True), (True, True)], ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_every_form_multiplies_every_shape(
    multiply: Multiply, shape: tuple[int, int, int], turned: tuple[bool, bool], kind: str
) -> None:
    a, b, _ = operands(shape, kind)
    out = np.full((shape[0], shape[2]), np.nan, kind)
    lying = [np.ascontiguousarray(x.T) if turn else x for x, turn in zip((a, b), turned, strict=True)]
    multiply(*lying, None, out, turned)
    assert_close(out, a, b, 0)


@pytest.mark.parametrize("kind", ["f4", "f8"])
@pytest.mark.parametrize("shape", [(3, 5, 7), (11, 1030, 21), (64, 33, 31), (3, 0, 4)], ids=str)
def test_sums_begin_with_the_bias(multiply: Multiply, shape: tuple[int, int, int], kind: str) -> None:
    a, b, bias = operands(shape, kind)
    out = np.full((shape[0], shape[2]), np.nan, kind)
    multiply(a, b, bias, out, (False, False))
    assert_close(out, a, b, bias)


BLOCKS = [(rows, 260, 140) for rows in (999, 1000, 1001, 1024, 2017)] + [(1001, 513, 2049), (20, 600, 3000)]
"""Shapes of several blocks of rows, of depth, of panels packed together, and of panels that come from afar."""


@pytest.mark.parametrize("turned", [False, True], ids=["as it lies", "right operand turned"])
@pytest.mark.parametrize("shape", BLOCKS, ids=str)
def test_results_of_many_blocks_are_all_made_and_nothing_beyond(shape: tuple[int, int, int], turned: bool) -> None:
    a, b, _ = operands(shape, "f4")
    rows, depth, columns = shape
    memory = np.full((rows + 40, columns), 7.0, np.float32)
    linear._multiply(a, np.ascontiguousarray(b.T) if turned else b, None, memory[20:-20], (False, turned))
    bound = (depth + 2) * np.finfo(np.float32).eps * (np.abs(a).astype("f8") @ np.abs(b).astype("f8"))
    assert (np.abs(memory[20:-20] - a.astype("f8") @ b.astype("f8")) <= bound).all()
    assert (memory[:20] == 7).all()
    assert (memory[-20:] == 7).all()


def test_not_a_number_stays_in_its_row(multiply: Multiply) -> None:
    a, b, _ = operands((9, 5, 31), "f4")
    a[2, 1], a[6, 4] = np.nan, np.inf
    out = np.empty((9, 31), np.float32)
    multiply(a, b, None, out, (False, False))
    assert np.isnan(out[2]).all()
    assert np.isinf(out[6]).all()
    assert np.isfinite(np.delete(out, [2, 6], 0)).all()


@pytest.mark.parametrize("shape", [(5, 3, 7), (33, 40, 17), (12, 300, 31)], ids=str)
def test_nothing_is_written_outside_the_destination(multiply: Multiply, shape: tuple[int, int, int]) -> None:
    a, b, _ = operands(shape, "f4")
    size = shape[0] * shape[2]
    memory = np.full(size + 128, 7.0, np.float32)
    multiply(a, b, None, memory[64 : 64 + size].reshape(shape[0], shape[2]), (False, False))
    assert (memory[:64] == 7).all()
    assert (memory[64 + size :] == 7).all()


def test_operands_may_lie_at_any_address(multiply: Multiply) -> None:
    a, b, _ = operands((33, 70, 20), "f4")
    out, shifted = np.empty((33, 20), np.float32), np.empty(a.size + 1, np.float32)[1:].reshape(a.shape)
    shifted[...] = a
    multiply(shifted, b, None, out, (False, False))
    assert_close(out, a, b, 0)


@pytest.mark.parametrize("kind", ["f4", "f8"])
def test_a_left_operand_that_is_packed_gives_the_same_bits(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    a, b, _ = operands((1100, 300, 200), kind)
    found = []
    for by_panels in (False, True):  # a call for a few panels does not pack, one for all of them does
        monkeypatch.setattr(linear, "way", lambda *_, by=by_panels: linear.Way(1.0, "direct", 8, by))
        out = np.empty((1100, 200), kind)
        with collecting() as recording:
            linear._multiply(a, b, None, out, (False, False))
        for unit in range(recording.launches[0].count if by_panels else 1):
            last = unit + 1 if by_panels else recording.launches[0].count
            run_units(recording.launches[0], unit, last)
        assert_close(out, a, b, 0)
        found.append(out)
    np.testing.assert_array_equal(*found)


def run_units(launch: Any, first: int, last: int) -> None:
    memory = working_memory()
    kinds = ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p
    ctypes.CFUNCTYPE(None, *kinds)(launch.address)(launch.row.ctypes.data, first, last, memory.ctypes.data)


@pytest.mark.skipif(REGISTER_BYTES != 64, reason="these choices are those for registers of 64 bytes")
def test_the_way_follows_the_shape() -> None:
    assert linear.way(128, 784, 20, 4, False, False, True).form == "inner"
    assert linear.way(784, 128, 20, 4, True, False, False).form == "swapped"
    assert linear.way(128, 784, 512, 4, False, False, True).form == "direct"
    assert linear.way(2048, 2048, 2048, 4, False, False, False).by_panels is False


def test_more_depth_costs_more() -> None:
    costs = [linear.way(64, depth, 64, 4, False, False, False).cost for depth in (10, 100, 1000)]
    assert costs == sorted(costs)
    assert costs[0] < costs[-1]
