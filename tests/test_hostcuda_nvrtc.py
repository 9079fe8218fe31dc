"""NVRTC compiles kernels for each architecture without a GPU, and reports what they take."""

from __future__ import annotations

import pytest
from hostcuda import nvrtc
from hostcuda.samples import REDUCE

pytestmark = pytest.mark.skipif(nvrtc.unavailable() is not None, reason=str(nvrtc.unavailable()))


@pytest.mark.parametrize("arch", nvrtc.ARCHITECTURES)
def test_report_counts_registers_and_shared_bytes(arch: str) -> None:
    name = "row_sums<float, 256>"
    report = nvrtc.compile_report(REDUCE, arch, name_expressions=[name])[name]
    assert 0 < report.registers <= 64
    assert (report.spill_stores, report.spill_loads, report.shared_bytes) == (0, 0, 32)


def test_error_carries_the_log() -> None:
    with pytest.raises(nvrtc.NvrtcError, match=r'kernel.cu\(1\).*"unknown" is undefined'):
        nvrtc.compile_report('extern "C" __global__ void f(float* x) { *x = unknown; }', "sm_90")
