"""What the CPU stand-in for CUDA notices: missing barriers, divergence, bad memory, misread arguments."""

from __future__ import annotations

from typing import Any

import hostcuda
import numpy as np
import pytest
from hostcuda import HostKernel, HostModule, KernelError, schedule
from hostcuda.samples import SEEDS, TRANSPOSE, kernel, one, several

pytestmark = pytest.mark.skipif(hostcuda.unavailable() is not None, reason=str(hostcuda.unavailable()))


def transposed(options: tuple[str, ...], seed: int) -> bool:
    x = np.random.default_rng(0).random((70, 45), np.float32)
    y = np.empty((45, 70), np.float32)
    with schedule(seed):
        kernel(TRANSPOSE, "transpose<float>", options)((2, 3), (32, 8), (x, y, np.int32(70), np.int32(45)))
    return np.array_equal(y, x.T)


@pytest.mark.parametrize("seed", SEEDS)
def test_shared_memory_transpose_is_exact_under_every_schedule(seed: int) -> None:
    assert transposed((), seed)


def test_removed_barrier_before_a_read_is_noticed_under_every_schedule() -> None:
    assert not any(transposed(("-DNO_BARRIER",), seed) for seed in range(4))


def test_removed_barrier_before_a_rewrite_is_noticed_under_one_of_four_seeds() -> None:
    """The second round overwrites what slower threads have yet to read of the first."""
    code = """
    __shared__ float s[128];
    for (int round = 0; round < 3; ++round) {
        s[threadIdx.x] = x[threadIdx.x] + round;
        __syncthreads();
        y[round * 128 + threadIdx.x] = s[(threadIdx.x + 37) % 128];
#ifndef NO_BARRIER
        __syncthreads();
#endif
    }"""
    x = np.arange(128, dtype=np.float32)
    expected = np.roll(x, -37) + np.arange(3, dtype=np.float32)[:, None]

    def right(options: tuple[str, ...], seed: int) -> bool:
        y = np.empty((3, 128), np.float32)
        with schedule(seed):
            one(code, "const float* x, float* y", options)((1,), (128,), (x, y))
        return np.array_equal(y, expected)

    assert all(right((), seed) for seed in SEEDS)
    assert not all(right(("-DNO_BARRIER",), seed) for seed in range(4))


def test_missing_syncwarp_is_noticed_under_one_of_four_seeds() -> None:
    code = "__shared__ float s[32]; s[threadIdx.x] = x[threadIdx.x]; x[threadIdx.x] = s[threadIdx.x ^ 1];"
    x = np.arange(32, dtype=np.float32)

    def right(body: str, seed: int) -> bool:
        y = x.copy()
        with schedule(seed):
            one(body)((1,), (32,), (y,))
        return np.array_equal(y, np.arange(32) ^ 1)

    assert all(right(code.replace("; x[", "; __syncwarp(); x["), seed) for seed in SEEDS)
    assert not all(right(code, seed) for seed in range(4))


FAULTS = {
    "barrier in one branch": (
        "if (threadIdx.x < 16) __syncthreads();",
        r"of 64 threads 16 wait at __syncthreads, 48 have",
    ),
    "barrier after an early return": (
        "if (threadIdx.x == 63) return;\n__syncthreads();",
        r"1 have exited .*line 3",
    ),
    "two barriers": (
        "if (threadIdx.x < 32)\n__syncthreads();\nelse __syncthreads();",
        r"line 3, thread 32 .*line 4",
    ),
    "barrier against shuffle": (
        "if (threadIdx.x & 1) __syncthreads(); else __syncwarp();",
        r"32 wait in a warp operation",
    ),
    "exited lane": (
        "if (threadIdx.x == 3) return;\n__ballot_sync(~0u, 1);",
        r"line 3: .* lanes 00000008 of it have exited",
    ),
    "lane outside its mask": (
        "__ballot_sync(0xffu, 1);",
        r"lane 8 of warp 0 calls .* mask 000000ff leaves it out",
    ),
    "different operations": (
        "if (threadIdx.x & 1) __ballot_sync(~0u, 1);\nelse __syncwarp();",
        r"meet in different .*lines",
    ),
    "index": (
        "__shared__ float s[4];\ns[threadIdx.x] = 1; x[0] = s[0];",
        r"line 3, thread \(4,0,0\).* index 4 is outside",
    ),
    "misaligned vector": ("((float4*)(x + 1))[threadIdx.x] = {};", r"line 2, .* is not aligned"),
    "assertion": ("assert(threadIdx.x < 7);", r"thread \(7,0,0\) .*assertion failed: threadIdx.x < 7"),
    "shared overrun": (
        "extern __shared__ float s[]; s[threadIdx.x] = 1;",
        r"beyond its 128 bytes of dynamic shared",
    ),
}


@pytest.fixture(scope="module")
def faulty() -> dict[str, HostKernel]:
    return several({name: f"(float* x) {{\n{body}\n}}" for name, (body, _) in FAULTS.items()})


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_is_reported_with_its_place(fault: str, faulty: dict[str, HostKernel]) -> None:
    message = FAULTS[fault][1]
    x = np.zeros(512, np.float32)
    with pytest.raises(KernelError, match=message):
        faulty[fault]((2,), (64,), (x,), shared_mem=128)


def test_module_still_works_after_a_fault() -> None:
    run = one("if (x[0] < 0 && threadIdx.x) __syncthreads(); __syncthreads(); x[threadIdx.x] = threadIdx.x;")
    with pytest.raises(KernelError):
        run((1,), (64,), (np.full(64, -1, np.float32),))
    x = np.zeros(64, np.float32)
    run((1,), (64,), (x,))
    np.testing.assert_array_equal(x, np.arange(64))


def test_shared_memory_starts_as_nan_in_every_block() -> None:
    body = """
    __shared__ float fixed[64], other;
    extern __shared__ double dynamic[];
    x[blockIdx.x * 64 + threadIdx.x] = fixed[threadIdx.x] + (float)dynamic[threadIdx.x] + other;
    __syncthreads();
    fixed[threadIdx.x] = 0, dynamic[threadIdx.x] = 0, other = 0;"""
    x = np.zeros((3, 64), np.float32)
    one(body)((3,), (64,), (x,), shared_mem=512)
    assert np.isnan(x).all()


MISREAD: dict[str, tuple[Any, ...]] = {
    "float x": (0.5,),
    "float* x": (np.zeros(1),),
    "long long x": (np.int32(1),),
    "int x": (2**31,),
    "double x": (np.zeros(1),),
    "double* x": (1,),
    "float* x, int n": (np.zeros(1, np.float32),),
    "int* x": (None,),
}


@pytest.fixture(scope="module")
def misreading() -> dict[str, HostKernel]:
    return several({parameters: f"({parameters}) {{}}" for parameters in MISREAD})


@pytest.mark.parametrize("parameters", MISREAD)
def test_argument_that_a_gpu_would_misread_is_refused(parameters: str, misreading: dict[str, HostKernel]) -> None:
    with pytest.raises(TypeError, match=r"argument|parameters"):
        misreading[parameters]((1,), (1,), MISREAD[parameters])


def memory_checked(body: str, n: int) -> np.ndarray:
    """Runs 32 threads on n floats inside a larger array, and 128 bytes of dynamic shared memory."""
    code = f"""__device__ float table[32];
    extern "C" __global__ void f(const float* x, float* y, int n) {{
        extern __shared__ float dynamic[];
        __shared__ float fixed[32];
        float local[32] = {{}};
        int t = threadIdx.x;
        {body}
    }}"""
    x, y = np.arange(64, dtype=np.float32), np.zeros(64, np.float32)
    run = HostModule(code=code, check_memory=True).get_function("f")
    run((2,), (32,), (x[:n], y[:n], np.int32(n)), shared_mem=128)
    return y[:n]


def test_memory_check_lets_rightful_accesses_pass() -> None:
    y = memory_checked(
        """dynamic[t] = fixed[t] = table[t] = x[t]; local[t] = t;
        __syncthreads();
        y[t] = dynamic[31 - t] + fixed[31 - t] + local[(t + n) % 32] + __shfl_xor_sync(~0u, x[t], 1);""",
        32,
    )
    t = np.arange(32)
    np.testing.assert_array_equal(y, 2 * (31 - t) + t + (t ^ 1))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            "y[0] = x[t];",
            r"thread \(31,0,0\) of .* a read of 4 bytes at offset 124 of argument 0, which has 124",
        ),
        ("if (t == 7) y[-1] = 0;", r"thread \(7,0,0\) .* a write of 4 bytes at offset -4 of argument 1"),
        ("y[0] = dynamic[t + 1];", r"thread \(31,0,0\) .* a read of 4 bytes beyond the 128 bytes of dynamic"),
    ],
)
def test_memory_check_notices_an_access_outside_of_what_was_given(body: str, message: str) -> None:
    with pytest.raises(KernelError, match=message):
        memory_checked(body, 31)
