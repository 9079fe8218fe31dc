"""CUDA C++ kernels without a GPU: run on the CPU (`HostModule`), or compiled by NVRTC for a report.

`HostModule` takes the place of `cupy.RawModule`: one fiber per CUDA thread, seeded schedules, and an
error where a GPU would hang or give wrong numbers (divergent barriers, exited lanes, bad arguments).
"""

from .compiler import CompilerMissingError, HostCompileError, unavailable
from .module import HostKernel, HostModule, KernelError, schedule

__all__ = [
    "CompilerMissingError",
    "HostCompileError",
    "HostKernel",
    "HostModule",
    "KernelError",
    "schedule",
    "unavailable",
]
