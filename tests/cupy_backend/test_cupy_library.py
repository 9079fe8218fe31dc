"""Products by cuBLASLt: what is asked of the library, seen through a stand-in that works as it is documented to."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import Any

import hostcuda
import numpy as np
import pytest
from shadow import ShadowBackend

from cupy_backend.fake_cublaslt import FakeCublasLt
from nnx import reference
from nnx.conformance import check_backend
from nnx.errors import OptionError
from nnx_cupy import OwnProducts, cublaslt, library
from nnx_cupy.cublaslt import CublasLt, CublasLtError, Epilogue, Problem, alignment
from nnx_cupy.library import LibraryProducts, best_products, tf32_wanted

on_the_cpu = pytest.mark.skipif(hostcuda.unavailable() is not None, reason=str(hostcuda.unavailable()))
NONE, BIAS, SUMS = (int(epilogue) for epilogue in Epilogue)


def shadow_with(fake: FakeCublasLt, small: int = 0, tf32: bool = False) -> ShadowBackend:
    shadow = ShadowBackend(
        products=LibraryProducts(CublasLt(fake, tf32, workspace_limit=1 << 20), OwnProducts(6), small)
    )
    fake.submit = shadow.host.launch
    return shadow


def asked(fake: FakeCublasLt) -> list[int]:
    return [epilogue for _, epilogue, _, _ in fake.products]


def layer(shadow: ShadowBackend, activation: str, bias: bool = True) -> list[Any]:
    """Run a dense layer both ways, and compare all results with the reference; return them."""
    rng = np.random.default_rng(0)
    x, w, dy = rng.standard_normal((9, 6)), rng.standard_normal((6, 5)), rng.standard_normal((9, 5))
    b = rng.standard_normal(5) if bias else None
    found = []
    for backend in (shadow, reference):
        first = () if backend is shadow else (shadow.xp,)
        y, dx, dw = np.empty_like(dy), np.empty_like(x), np.empty_like(w)
        dz, db = None if activation == "identity" else np.empty_like(dy), np.empty(5) if bias else None
        backend.linear(*first, x, w, b, y, activation, 0.1)
        backend.linear_backward(*first, x, y, dy, w, dz, dx, dw, db, activation, 0.1)
        found.append([array for array in (y, dz, dx, dw, db) if array is not None])
    for got, expected in zip(*found, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-12)  # sums of at most nine terms in float64
    return found[0]


@on_the_cpu
def test_the_linear_family_passes_the_kit_with_every_product_by_the_library() -> None:
    fake = FakeCublasLt()
    report = check_backend(shadow_with(fake), kernels=["linear", "linear_backward"])
    assert report.ok, str(report)
    assert set(asked(fake)) == {NONE, BIAS, SUMS}


@on_the_cpu
def test_without_activation_bias_and_its_gradient_are_the_librarys() -> None:
    fake = FakeCublasLt()
    shadow = shadow_with(fake)
    layer(shadow, "identity")
    assert asked(fake) == [BIAS, SUMS, NONE]  # forward, dw with db, dx
    graph = shadow.host.capture(lambda: shadow.linear(*operands(), "identity", 0.0))
    assert len(graph.launches) == 1


def operands() -> tuple[Any, ...]:
    x, w, b = np.ones((9, 6)), np.ones((6, 5)), np.ones(5)
    return x, w, b, np.empty((9, 5))


@on_the_cpu
@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_an_activation_is_a_pass_of_our_own(activation: str) -> None:
    fake = FakeCublasLt()
    layer(shadow_with(fake), activation)
    layer(shadow_with(fake), activation, bias=False)
    assert set(asked(fake)) == {NONE}


@on_the_cpu
@pytest.mark.parametrize("refused", [(BIAS,), (SUMS,), (BIAS, SUMS), (NONE,), (NONE, BIAS, SUMS)])
def test_what_the_library_refuses_is_done_otherwise(refused: tuple[int, ...]) -> None:
    fake = FakeCublasLt(refused)
    for activation in ("identity", "relu"):
        layer(shadow_with(fake), activation)
    assert not set(asked(fake)) & set(refused)


@on_the_cpu
def test_small_products_are_left_to_our_own_kernels() -> None:
    fake = FakeCublasLt()
    layer(shadow_with(fake, small=9 * 6 * 5), "identity")
    assert not fake.products
    layer(shadow_with(fake, small=9 * 6 * 5 - 1), "identity")
    assert fake.products


def turned(matrix: Any) -> Any:
    return np.ascontiguousarray(matrix.T).T


def inside(matrix: Any) -> Any:
    frame = np.full((matrix.shape[0], matrix.shape[1] + 3), np.nan, matrix.dtype)
    frame[:, 1:-2] = matrix
    return frame[:, 1:-2]


def scattered(matrix: Any) -> Any:
    frame = np.full((2 * matrix.shape[0], 2 * matrix.shape[1]), np.nan, matrix.dtype)
    frame[::2, ::2] = matrix
    return frame[::2, ::2]


@on_the_cpu
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("lay_a", [np.array, turned, inside, scattered])
@pytest.mark.parametrize("lay_b", [np.array, turned, inside, scattered])
def test_factors_of_any_layout(lay_a: Callable[..., Any], lay_b: Callable[..., Any], dtype: str) -> None:
    a, b = np.arange(12.0).reshape(4, 3).astype(dtype), np.arange(15.0).reshape(3, 5).astype(dtype)
    for turn_a, turn_b in ((False, False), (True, False), (False, True), (True, True)):
        given = lay_a(a.T if turn_a else a), lay_b(b.T if turn_b else b)
        out = np.empty((4, 5), dtype)
        fake = FakeCublasLt()
        shadow_with(fake).matmul(*given, out, turn_a, turn_b)
        np.testing.assert_array_equal(out, a @ b)  # small whole numbers: exact
        assert len(fake.products) == 1


@on_the_cpu
def test_rows_and_columns_of_one_element() -> None:
    for rows, columns, depth in ((1, 1, 1), (1, 7, 3), (7, 1, 3), (5, 6, 1)):
        a, b = np.full((rows, depth), 2.0), np.full((depth, columns), 3.0)
        out = np.empty((rows, columns))
        shadow_with(FakeCublasLt()).matmul(a, b, out, False, False)
        np.testing.assert_array_equal(out, 6.0 * depth)


@on_the_cpu
def test_an_algorithm_is_chosen_once_for_each_problem_and_alignment() -> None:
    fake = FakeCublasLt()
    shadow = shadow_with(fake)
    room = np.zeros(1000, "float32")
    start = -room.ctypes.data % 256 // 4
    a, b, out = room[start : start + 16], room[start + 64 : start + 80], room[start + 128 : start + 144]
    a, b, out = a.reshape(4, 4), b.reshape(4, 4), out.reshape(4, 4)
    for _ in range(3):
        shadow.matmul(a, b, out, False, False)
    assert fake.choices == 1
    assert fake.alignments == [{5: 256, 6: 256, 7: 256, 8: 256}]
    shadow.matmul(room[start + 1 : start + 17].reshape(4, 4), b, out, False, False)
    assert fake.choices == 2
    assert fake.alignments[1] == {5: 256, 6: 4, 7: 256, 8: 256}  # the left factor is the library's second


@pytest.mark.parametrize(("addresses", "expected"), [((0x1000,), 256), ((0x1010, 0x2000), 16), ((4, 8), 4)])
def test_alignment_is_that_of_the_worst_address(addresses: tuple[int, ...], expected: int) -> None:
    assert alignment(*addresses) == expected


@on_the_cpu
def test_the_workspace_is_scratch_memory_of_the_thread_or_the_program() -> None:
    fake = FakeCublasLt()
    shadow = shadow_with(fake)
    layer(shadow, "identity")
    eager = {workspace for *_, workspace in fake.products}
    fake.products.clear()
    with shadow.preparing({}):
        layer(shadow, "identity")
    assert len(eager) == 1
    assert eager.isdisjoint(workspace for *_, workspace in fake.products)


@on_the_cpu
def test_two_threads_share_a_plan_but_not_a_bias() -> None:
    shadow = shadow_with(FakeCublasLt())
    wrong = []

    def work(value: float) -> None:
        x, w, b, y = np.ones((4, 3)), np.ones((3, 2)), np.full(2, value), np.empty((4, 2))
        for _ in range(300):
            shadow.linear(x, w, b, y, "identity", 0.0)
            if not (y == 3 + value).all():
                wrong.append(value)

    threads = [threading.Thread(target=work, args=(value,)) for value in (10.0, 20.0)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@on_the_cpu
@pytest.mark.parametrize(("tf32", "expected"), [(False, {"float32"}), (True, {"tf32"})])
def test_tf32_is_used_only_when_asked_for_and_reported(tf32: bool, expected: set[str]) -> None:
    fake = FakeCublasLt()
    shadow = shadow_with(fake, tf32=tf32)
    shadow.matmul(np.ones((4, 4), "f4"), np.ones((4, 4), "f4"), np.empty((4, 4), "f4"), False, False)
    assert {compute for compute, *_ in fake.products} == expected
    assert ("TF32" in shadow.device()) == tf32
    shadow.matmul(np.ones((4, 4)), np.ones((4, 4)), np.empty((4, 4)), False, False)
    assert fake.products[-1][0] == "float64"


@pytest.mark.parametrize(("value", "expected"), [(None, False), ("0", False), ("1", True)])
def test_the_environment_decides_about_tf32(
    value: str | None, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if value is None:
        monkeypatch.delenv("NNX_CUPY_TF32", raising=False)
    else:
        monkeypatch.setenv("NNX_CUPY_TF32", value)
    assert tf32_wanted() is expected


def test_another_word_about_tf32_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NNX_CUPY_TF32", "yes")
    with pytest.raises(OptionError, match=r"NNX_CUPY_TF32 must be 1 .* or 0, got 'yes'"):
        tf32_wanted()


def test_a_failing_call_names_the_function_and_the_status(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeCublasLt()
    monkeypatch.setattr(fake, "cublasLtCreate", lambda _handle: 1)
    problem = Problem("float32", 2, 2, 2, (2, False), (2, False), Epilogue.NONE, (4, 4, 4))
    with pytest.raises(CublasLtError, match="cublasLtCreate failed with status 1"):
        CublasLt(fake, False, 0).plan(0, problem)


class FakeCupy:
    """Of CuPy, what the choice of products asks."""

    def __init__(self, major: int) -> None:
        self.cuda = self.runtime = self
        self._major = major

    def runtimeGetVersion(self) -> int:
        return 13020

    def getDevice(self) -> int:
        return 0

    def getDeviceProperties(self, _device: int) -> dict[str, int]:
        return {"major": self._major}


def test_without_the_library_our_own_kernels_multiply_and_the_log_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "cuda.pathfinder", None)
    monkeypatch.setattr(cublaslt, "_file_name", lambda major: f"libabsent.so.{major}")
    assert isinstance(best_products(FakeCupy(9), tf32=False), OwnProducts)
    assert [record.name for record in caplog.records] == ["nnx.backends.cupy"]
    assert "libabsent.so.13" in caplog.text


@pytest.mark.parametrize(("major", "mebibytes"), [(8, 4), (9, 32), (10, 32)])
def test_hopper_and_later_lend_a_large_workspace(
    major: int, mebibytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(library, "load_library", lambda _major: FakeCublasLt())
    monkeypatch.setattr(library, "CublasLt", lambda *arguments: arguments)
    products = best_products(FakeCupy(major), tf32=True)
    assert products.library[1:] == (True, mebibytes << 20)  # type: ignore[attr-defined]


def test_the_real_library_takes_the_descriptors() -> None:
    try:
        real = cublaslt.load_library(13)
    except OSError as error:
        pytest.skip(f"cuBLASLt is not installed: {error}")
    binding = CublasLt(real, True, 0)
    assert binding.describe().startswith("cuBLASLt ")
    for dtype in ("float32", "float64"):
        for epilogue in Epilogue:
            problem = Problem(dtype, 8, 6, 4, (4, False), (4, True), epilogue, (16, 16, 16))
            assert binding._descriptor(problem, 4096).value
            assert binding._layout(dtype, 8, 4, 4, False).value
