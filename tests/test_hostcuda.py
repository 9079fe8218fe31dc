"""The CPU stand-in for CUDA runs kernels rightly, and notices the faults that a GPU would."""

from __future__ import annotations

import threading

import hostcuda
import numpy as np
import pytest
from hostcuda import HostModule, KernelError, schedule
from hostcuda.samples import REDUCE, SEEDS, kernel, one

pytestmark = pytest.mark.skipif(hostcuda.unavailable() is not None, reason=str(hostcuda.unavailable()))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("dtype", "name"), [("f4", "row_sums<float, 256>"), ("f8", "row_sums<double, 96>")])
def test_block_reduction_sums_rows_under_every_schedule(dtype: str, name: str, seed: int) -> None:
    x = np.random.default_rng(0).integers(-8, 8, (7, 1000)).astype(dtype)
    sums = np.empty(7, dtype)
    with schedule(seed):
        kernel(REDUCE, name)((7,), (int(name[-4:-1]),), (x, sums, np.int32(1000)))
    np.testing.assert_array_equal(sums, x.sum(axis=1))


@pytest.mark.parametrize(("kind", "dtype"), [("float", "f4"), ("double", "f8"), ("int", "i4"), ("unsigned", "u4")])
def test_atomics_count_every_thread_once(kind: str, dtype: str) -> None:
    body = """
    atomicAdd(&total[0], 1); atomicMax(&total[1], threadIdx.x); atomicMin(&total[2], threadIdx.x);
    if (atomicCAS(&total[3], 0, 5) == 0) atomicExch(&total[4], 7);"""
    total = np.array([0, 0, 99, 0, 0], dtype)
    code = f"template <typename T> __global__ void count(T* total) {{{body}}}"
    kernel(code, f"count<{kind}>")((3, 2), (16, 3), (total,))
    np.testing.assert_array_equal(total, [288, 15, 0, 5, 7])


def test_64_bit_atomics_and_high_products_equal_python_integers() -> None:
    body = """
    unsigned long long a = x[threadIdx.x], b = x[63 - threadIdx.x];
    high[threadIdx.x] = __umul64hi(a, b);
    high[64 + threadIdx.x] = __umulhi((unsigned)a, (unsigned)b);
    atomicXor(total, a);"""
    x = np.random.default_rng(0).integers(0, 2**64, 64, np.uint64, endpoint=False)
    high, total = np.zeros(128, np.uint64), np.zeros(1, np.uint64)
    integer = "unsigned long long*"
    one(body, f"const {integer} x, {integer} high, {integer} total")((1,), (64,), (x, high, total))
    pairs = [(int(a), int(b)) for a, b in zip(x, x[::-1], strict=True)]
    low = 2**32 - 1
    assert high.tolist() == [a * b >> 64 for a, b in pairs] + [(a & low) * (b & low) >> 32 for a, b in pairs]
    assert total[0] == np.bitwise_xor.reduce(x)


def test_shuffles_within_narrow_segments_and_votes() -> None:
    body = """
    int t = threadIdx.x, full = 0xffffffff;
    x[t] = __shfl_down_sync(full, t, 3, 8);
    x[32 + t] = __shfl_up_sync(full, t, 3, 8);
    x[64 + t] = __shfl_sync(full, t, 9, 8);
    x[96 + t] = __ballot_sync(full, t % 3 == 0);
    int votes = 100 * __any_sync(full, t == 31) + 1000 * __all_sync(full, t < 31);
    x[128 + t] = __syncthreads_count(t < 5) + votes;"""
    x = np.zeros((5, 32), np.int32)
    one(body, "int* x")((1,), (32,), (x,))
    t = np.arange(32)
    np.testing.assert_array_equal(x[0], np.where(t % 8 < 5, t + 3, t))
    np.testing.assert_array_equal(x[1], np.where(t % 8 >= 3, t - 3, t))
    np.testing.assert_array_equal(x[2], t // 8 * 8 + 1)
    assert set(x[3].view(np.uint32).tolist()) == {sum(1 << i for i in range(0, 32, 3))}
    assert set(x[4].tolist()) == {105}


def test_scalars_arrive_with_the_types_cupy_gives_them() -> None:
    body = "out[0] = a; out[1] = b; out[2] = c; out[3] = d; out[4] = e;"
    out = np.zeros(5)
    one(body, "double* out, long long a, double b, bool c, float d, int e")(
        (1,), (1,), (out, 2**40, 0.1, True, np.float32(0.5), np.int32(-3))
    )
    assert out.tolist() == [2.0**40, 0.1, 1.0, 0.5, -3.0]


MATH = ["exp", "log", "sqrt", "rsqrt", "tanh", "erf", "expm1", "log1p", "fabs", "floor", "sin", "cos", "cbrt"]


def test_math_functions_keep_the_precision_of_their_argument() -> None:
    """A double result for a float argument would make the CPU more exact than the GPU."""
    sizes = "".join(f"static_assert(sizeof({f}(1.0f)) == 4 && sizeof({f}(1.0)) == 8, {f!r});" for f in MATH)
    body = (
        sizes.replace("'", '"')
        + """
    int t = threadIdx.x;
    y[t] = max(x[t], 0.5f) + min(t, 3LL) + pow(x[t], 2.0f) + fmax(x[t], NAN) + (isnan(x[t]) ? 1 : 0);"""
    )
    x, y = np.linspace(0, 1, 8, dtype=np.float32), np.zeros(8, np.float32)
    one(body, "const float* x, float* y")((1,), (8,), (x, y))
    np.testing.assert_allclose(y, np.maximum(x, 0.5) + np.minimum(np.arange(8), 3) + x * x + x, rtol=1e-6)


def test_vector_types_load_as_one_and_half_precision_rounds_to_even() -> None:
    body = """
    float4 v = reinterpret_cast<const float4*>(x)[threadIdx.x];
    double2 sum = make_double2(v.x + v.y, v.z + v.w);
    y[threadIdx.x] = sum.x * sum.y;
    float rounded = __half2float(__float2half(2049.0f + threadIdx.x * 2));
    h[threadIdx.x] = rounded + __bfloat162float(__float2bfloat16(257.0f));"""
    x, y, h = np.arange(16, dtype=np.float32), np.zeros(4), np.zeros(4, np.float32)
    one(body, "const float* x, double* y, float* h")((1,), (4,), (x, y, h))
    pairs = x.reshape(4, 2, 2).sum(-1)
    np.testing.assert_array_equal(y, pairs[:, 0] * pairs[:, 1])
    np.testing.assert_array_equal(h, (2049.0 + 2 * np.arange(4)).astype(np.float16).astype(np.float32) + 256)


def test_threads_may_launch_at_once() -> None:
    run = kernel(REDUCE, "row_sums<double, 96>")
    x = np.random.default_rng(0).integers(0, 9, (300, 100)).astype(np.float64)
    results = [np.zeros(300) for _ in range(4)]
    threads = [threading.Thread(target=run, args=((300,), (96,), (x, r, np.int32(100)))) for r in results]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for result in results:
        np.testing.assert_array_equal(result, x.sum(axis=1))


def test_equal_templates_of_two_modules_keep_their_own_shared_memory() -> None:
    code = """template <typename T> __global__ void f(T* x) {
    __shared__ T s[SIZE]; for (int i = 0; i < SIZE; ++i) s[i] = SIZE; *x = s[SIZE - 1]; }"""
    small, large = (kernel(code, "f<float>", (f"-DSIZE={size}",)) for size in (4, 4000))
    for run, size in [(small, 4), (large, 4000), (small, 4)]:
        x = np.zeros(1, np.float32)
        run((1,), (1,), (x,))
        assert x[0] == size


def test_compile_error_names_the_kernels_own_line() -> None:
    with pytest.raises(hostcuda.HostCompileError, match=r"kernel\.cu:3:\d+: error"):
        one("// a comment; with { braces\nx[0] = unknown;")


@pytest.mark.parametrize("option", ["--use_fast_math", "-ftz=true", "-prec-div=false", "--unheard-of"])
def test_option_that_the_cpu_cannot_mirror_is_refused(option: str) -> None:
    with pytest.raises(ValueError, match=option):
        HostModule(code="", options=(option,))


def test_more_shared_memory_than_the_default_must_be_allowed_first() -> None:
    run = kernel('extern "C" __global__ void f() {}', "f")
    with pytest.raises(KernelError, match="max_dynamic_shared_size_bytes"):
        run((1,), (1,), (), shared_mem=50_000)
    run.max_dynamic_shared_size_bytes = 64 << 10
    run((1,), (1,), (), shared_mem=50_000)
