"""Small kernels, and short ways to write more, for the tests of this package."""

from __future__ import annotations

from collections.abc import Mapping

from .module import HostKernel, HostModule

SEEDS = range(5)

REDUCE = r"""
template <typename T> __device__ __forceinline__ T warp_sum(T value) {
#pragma unroll
    for (int offset = 16; offset > 0; offset >>= 1) value += __shfl_xor_sync(0xffffffffu, value, offset);
    return value;
}
template <typename T, int B> __global__ void __launch_bounds__(B)
row_sums(const T* __restrict__ x, T* __restrict__ sums, int columns) {
    __shared__ T partial[B / 32];
    T sum = 0;
    for (int i = threadIdx.x; i < columns; i += B) sum += x[(long long)blockIdx.x * columns + i];
    sum = warp_sum(sum);
    if (threadIdx.x % 32 == 0) partial[threadIdx.x / 32] = sum;
    __syncthreads();
    if (threadIdx.x >= 32) return;
    sum = warp_sum(threadIdx.x < B / 32 ? partial[threadIdx.x] : T(0));
    if (threadIdx.x == 0) sums[blockIdx.x] = sum;
}
"""

TRANSPOSE = r"""
template <typename T> __global__ void transpose(const T* x, T* y, int rows, int columns) {
    __shared__ T tile[32][33];
    int column = blockIdx.x * 32 + threadIdx.x, row = blockIdx.y * 32 + threadIdx.y;
    for (int j = 0; j < 32; j += 8)
        if (row + j < rows && column < columns)
            tile[threadIdx.y + j][threadIdx.x] = x[(row + j) * columns + column];
#ifndef NO_BARRIER
    __syncthreads();
#endif
    row = blockIdx.x * 32 + threadIdx.y, column = blockIdx.y * 32 + threadIdx.x;
    for (int j = 0; j < 32; j += 8)
        if (row + j < columns && column < rows)
            y[(row + j) * rows + column] = tile[threadIdx.x][threadIdx.y + j];
}
"""


def kernel(code: str, name: str, options: tuple[str, ...] = ()) -> HostKernel:
    expressions = () if 'extern "C"' in code else (name,)
    return HostModule(code=code, options=options, name_expressions=expressions).get_function(name)


def one(body: str, parameters: str = "float* x", options: tuple[str, ...] = ()) -> HostKernel:
    """A kernel `f` of that body, which begins on line 2."""
    return kernel(f'extern "C" __global__ void f({parameters}) {{\n{body}\n}}', "f", options)


def several(kernels: Mapping[str, str]) -> dict[str, HostKernel]:
    """A kernel for each text `(parameters) {body}`, compiled together; each begins on line 1."""
    texts = kernels.values()
    code = "".join(f'\n#line 1\nextern "C" __global__ void f{i}{text}' for i, text in enumerate(texts))
    module = HostModule(code=code)
    return {name: module.get_function(f"f{i}") for i, name in enumerate(kernels)}
