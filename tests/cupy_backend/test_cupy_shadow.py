"""The shadow in a long session: any number of kernels may be compiled and run in one process."""

from __future__ import annotations

from pathlib import Path

import hostcuda
import numpy as np
import pytest
from hostcuda import HostModule

SOURCE = """
extern "C" __global__ void turn_round(float* x) {
    __shared__ float held[1024];
    held[threadIdx.x] = x[threadIdx.x];
    __syncthreads();
    x[threadIdx.x] = held[blockDim.x - 1 - threadIdx.x] + NUMBER;
}
"""


@pytest.mark.skipif(hostcuda.unavailable() is not None, reason=str(hostcuda.unavailable()))
def test_another_library_takes_no_stacks_of_its_own() -> None:
    """Linux gives a process some 65,000 mappings, and the 1,024 threads of a block need two each."""
    mappings = []
    for number in range(3):
        x = np.arange(1024, dtype="float32")
        kernel = HostModule(code=SOURCE, options=(f"-DNUMBER={number}",)).get_function("turn_round")
        kernel((1,), (1024,), (x,))
        np.testing.assert_array_equal(x, np.arange(1024)[::-1] + number)
        mappings.append(len(Path("/proc/self/maps").read_text().splitlines()))
    assert mappings[2] - mappings[0] < 100
