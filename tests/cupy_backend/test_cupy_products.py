"""Products by kernels of our own: sizes that straddle tiles and slabs, layouts, fused work, order of sums."""

from __future__ import annotations

import functools
import threading
from typing import Any

import hostcuda
import numpy as np
import pytest
from hostcuda import HostModule, KernelError
from numpy.typing import NDArray
from shadow import ShadowBackend

from nnx import reference
from nnx.interface import FUSED
from nnx.reference.activations import derivative_from_output
from nnx_cupy import OwnProducts

pytestmark = pytest.mark.skipif(hostcuda.unavailable() is not None, reason=str(hostcuda.unavailable()))

Matrix = NDArray[Any]
EXTENTS = [(1, 1, 1), (31, 33, 32), (32, 32, 31), (33, 65, 129), (2, 3, 700), (70, 1, 257), (200, 130, 5)]
DTYPES = ("float32", "float64")


def random(shape: tuple[int, ...], dtype: str, seed: int = 0) -> Matrix:
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def check_product(got: Matrix, a: Matrix, b: Matrix, dtype: str) -> None:
    """Within the error of adding a.shape[1] products in any order."""
    exact, size = a.astype("f8") @ b.astype("f8"), np.abs(a).astype("f8") @ np.abs(b).astype("f8")
    assert (np.abs(got - exact) <= (a.shape[1] + 4) * np.finfo(dtype).eps * size).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("extents", EXTENTS)
@pytest.mark.parametrize("busy", [1, 6, 40])
def test_any_sharing_of_tiles_and_sums_gives_the_product(
    extents: tuple[int, int, int], dtype: str, busy: int
) -> None:
    rows, columns, depth = extents
    a, b = random((rows, depth), dtype), random((depth, columns), dtype, 1)
    out = np.empty((rows, columns), dtype)
    shadow = ShadowBackend(2, products=OwnProducts(busy))
    shadow.matmul(a, b, out, False, False)
    check_product(out, a, b, dtype)


@pytest.mark.parametrize("transposed", [(False, True), (True, False), (True, True)])
def test_transposed_and_strided_factors_are_read_where_they_lie(
    transposed: tuple[bool, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    a = random((2 * 40, 3 * 35), "float32")[::2, ::-3]
    b = random((35, 50), "float32", 1)[:, 5:42]
    given_a = np.ascontiguousarray(a.T) if transposed[0] else a
    given_b = np.ascontiguousarray(b.T) if transposed[1] else b
    shadow, out = ShadowBackend(), np.empty((40, 37), "float32")
    shadow.matmul(given_a, given_b, out, *transposed)
    monkeypatch.setattr(shadow, "xp", None)  # scratch memory is there: nothing is left to ask for
    shadow.matmul(given_a, given_b, out, *transposed)
    check_product(out, a, b, "float32")


@pytest.mark.parametrize("shape", [(0, 5, 4), (5, 0, 4), (4, 5, 0), (0, 0, 0)])
@pytest.mark.parametrize("activation", ["identity", "sigmoid"])
def test_empty_extents_of_a_layer(shape: tuple[int, int, int], activation: str) -> None:
    examples, inputs, outputs = shape
    x, w, b = random((examples, inputs), "f4"), random((inputs, outputs), "f4"), random((outputs,), "f4")
    y, dy = np.empty((examples, outputs), "f4"), random((examples, outputs), "f4", 1)
    shadow = ShadowBackend()
    shadow.linear(x, w, b, y, activation, 0.0)
    expected = np.empty_like(y)
    reference.linear(shadow.xp, x, w, b, expected, activation, 0.0)
    np.testing.assert_allclose(y, expected, rtol=1e-6)  # a bias and a sigmoid: no sums
    results = [np.full_like(array, 7) for array in (y, x, w, b)]
    wanted = [np.full_like(array, 7) for array in (y, x, w, b)]
    if activation == "identity":
        results[0], wanted[0] = None, None  # type: ignore[call-overload]
    shadow.linear_backward(x, y, dy, w, *results, activation, 0.0)
    reference.linear_backward(shadow.xp, x, y, dy, w, *wanted, activation, 0.0)
    for got, right in zip(results, wanted, strict=True):
        if right is not None:
            np.testing.assert_allclose(got, right, rtol=1e-6)


def layer(shadow: ShadowBackend, activation: str, wants_dx: bool) -> list[Matrix | None]:
    x, w, b = random((300, 45), "f4"), random((45, 37), "f4", 1) / 8, random((37,), "f4", 2)
    y, dy = np.empty((300, 37), "f4"), random((300, 37), "f4", 3)
    shadow.linear(x, w, b, y, activation, 0.25)
    dz = None if activation == "identity" else np.empty_like(y)
    results = [dz, np.empty_like(x) if wants_dx else None, np.empty_like(w), np.empty_like(b)]
    shadow.linear_backward(x, y, dy, w, *results, activation, 0.25)
    return [y, *results]


@pytest.mark.parametrize("wants_dx", [True, False])
@pytest.mark.parametrize("activation", FUSED)
def test_a_layer_is_one_launch_each_way_and_right(activation: str, wants_dx: bool) -> None:
    shadow = ShadowBackend(1)
    layer(shadow, activation, wants_dx)
    graph = shadow.host.capture(lambda: layer(shadow, activation, wants_dx))
    assert len(graph.launches) == 2
    y, dz, dx, dw, db = layer(shadow, activation, wants_dx)
    x, w, dy = random((300, 45), "f4"), random((45, 37), "f4", 1) / 8, random((300, 37), "f4", 3)
    gradient = dy if dz is None else dz
    slope = derivative_from_output(np, y, activation, 0.25)
    np.testing.assert_allclose(gradient, dy * slope, rtol=1e-6, atol=1e-6)  # the kit holds it to 4 ulp
    check_product(dw, x.T, gradient, "float32")  # type: ignore[arg-type]
    check_product(db[None], np.ones((1, 300), "f4"), gradient, "float32")  # type: ignore[index]
    if dx is not None:
        check_product(dx, gradient, w.T, "float32")


def test_sums_are_the_same_bits_in_any_order_of_blocks_and_threads() -> None:
    first, *others = [layer(ShadowBackend(seed), "tanh", True) for seed in range(4)]
    for other in others:
        for a, b in zip(first, other, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("nth", [0, 1])
def test_a_forgotten_barrier_around_the_slabs_is_noticed(nth: int) -> None:
    right, wrong = layer(ShadowBackend(), "relu", True), 0
    for seed in range(4):
        load = functools.partial(broken_module, seed, nth)
        try:
            got = layer(ShadowBackend(module=load), "relu", True)
        except KernelError:
            wrong += 1
        else:
            wrong += any(not np.allclose(a, b, rtol=1e-3) for a, b in zip(right, got, strict=True))
    assert wrong > 0


def broken_module(seed: int, nth: int, *, code: str, **others: Any) -> HostModule:
    head, body = code.split("void multiply(", 1)
    parts = body.split("__syncthreads();")
    parts[nth : nth + 2] = [parts[nth] + parts[nth + 1]]
    return HostModule(code=head + "void multiply(" + "__syncthreads();".join(parts), seed=seed, **others)


def test_two_threads_at_once_get_what_each_gets_alone() -> None:
    shadow = ShadowBackend()
    alone = layer(shadow, "elu", True)
    found: dict[int, list[Matrix | None]] = {}
    gate = threading.Barrier(2)

    def work(number: int) -> None:
        gate.wait()
        found[number] = layer(shadow, "elu", True)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for results in found.values():
        for a, b in zip(results, alone, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(("rows", "columns", "depth"), [(1, 1, 10**6), (10**5, 10**4, 3), (209, 20, 12288)])
def test_a_product_keeps_a_gpu_busy_and_parts_worth_joining(rows: int, columns: int, depth: int) -> None:
    tiling = OwnProducts().tiling(rows, columns, depth)
    assert tiling.tiles * (16 * tiling.reach) ** 2 >= rows * columns
    assert tiling.slices == 1 or depth / tiling.slices >= 128
    assert tiling.slices == 1 or tiling.tiles * tiling.slices <= OwnProducts().busy
