"""NVIDIA's cuBLASLt by way of ctypes: products on any stream, captured ones too, in memory that the caller lends.

CuPy's own products go through cuBLAS, and CuPy refuses those on a stream that is being captured.
Source of all numbers and signatures: cublasLt.h, cublas_api.h and library_types.h of CUDA 12 and 13.
"""

from __future__ import annotations

import ctypes
import importlib
import sys
import threading
from ctypes import byref, c_double, c_float, c_int, c_int32, c_int64, c_size_t, c_uint32, c_uint64, c_void_p, sizeof
from enum import IntEnum
from typing import Any, NamedTuple

_TRANSPOSE_A, _TRANSPOSE_B, _EPILOGUE, _VECTOR = 3, 4, 7, 8  # CUBLASLT_MATMUL_DESC_...
_WORKSPACE_BYTES, _ALIGNMENT_A = 1, 5  # CUBLASLT_MATMUL_PREF_...; B, C and D follow A
_COMPUTE_32F, _COMPUTE_32F_FAST_TF32, _COMPUTE_64F = 68, 77, 70
_REAL = {"float32": 0, "float64": 1}  # CUDA_R_32F, CUDA_R_64F
_NUMBER = {"float32": c_float, "float64": c_double}
_NOT_SUPPORTED = 15
_BEST_ALIGNMENT = 256


class Epilogue(IntEnum):
    """What is done besides the product; a vector of its own goes with all but the first."""

    NONE = 1
    ADD_TO_ROWS = 4  # BIAS: the vector is added to each row of the result
    SUM_RIGHT = 256  # BGRADA: the vector receives the sums of the right factor's columns


class CublasLtError(RuntimeError):
    """A call of cuBLASLt failed."""


class Problem(NamedTuple):
    """All that the choice of an algorithm depends on: (rows, depth) by (depth, columns), row-major.

    Attributes:
        left, right: of each factor the elements from one row in memory to the next, and whether it lies transposed.
        alignments: of the right factor, the left one and the result, in bytes.
    """

    dtype: str
    rows: int
    columns: int
    depth: int
    left: tuple[int, bool]
    right: tuple[int, bool]
    epilogue: Epilogue
    alignments: tuple[int, int, int]


class Addresses(NamedTuple):
    """Where a problem's arrays lie; vector is 0 if there is none."""

    left: int
    right: int
    out: int
    vector: int = 0


class _Algorithm(ctypes.Structure):  # cublasLtMatmulAlgo_t
    _fields_ = [("data", c_uint64 * 8)]


class _Choice(ctypes.Structure):  # cublasLtMatmulHeuristicResult_t
    _fields_ = [
        ("algorithm", _Algorithm),
        ("workspace", c_size_t),
        ("state", c_int),
        ("waves", c_float),
        ("reserved", c_int * 4),
    ]


class Plan(NamedTuple):
    """How a problem is solved; the lock is for the descriptor, which is told the vector's address at each use."""

    problem: Problem
    handle: c_void_p
    descriptor: c_void_p
    layouts: tuple[c_void_p, c_void_p, c_void_p]
    algorithm: _Algorithm
    workspace: int
    lock: threading.Lock


class CublasLt:
    """The library, with a plan for each problem that it has met on each device.

    cuBLASLt stores matrices column by column. A row-major matrix is its own transpose there, so out = left @ right
    is asked for as out^T = right^T @ left^T: the right factor comes first, and nothing is moved.
    """

    def __init__(self, library: Any, tf32: bool, workspace_limit: int) -> None:
        """Take the loaded library; `workspace_limit` is what an algorithm may want to borrow, in bytes."""
        self.tf32 = tf32
        self._library, self._limit = library, workspace_limit
        self._handles: dict[int, c_void_p] = {}
        self._plans: dict[tuple[int, Problem], Plan | None] = {}
        self._lock = threading.Lock()

    def describe(self) -> str:
        """Name the library and its precision: "cuBLASLt 13.1.0 in float32"."""
        version = self._library.cublasLtGetVersion()
        shown = f"{version // 10000}.{version // 100 % 100}.{version % 100}"
        return f"cuBLASLt {shown} in {'TF32' if self.tf32 else 'float32'}"

    def plan(self, device: int, problem: Problem, vector: int = 0) -> Plan | None:
        """Return how to solve a problem on the current device, or None if the library cannot.

        Raises: CublasLtError if the library fails.
        """
        key = (device, problem)
        with self._lock:
            if key not in self._plans:
                self._plans[key] = self._make_plan(self._handle(device), problem, vector)
            return self._plans[key]

    def run(self, plan: Plan, at: Addresses, workspace: int, stream: int) -> None:
        """Hand the product to a stream; `workspace` is the address of `plan.workspace` bytes.

        Raises: CublasLtError if the library refuses.
        """
        number = _NUMBER[plan.problem.dtype]
        first, second, result = plan.layouts
        out = c_void_p(at.out), result
        with plan.lock:
            self._tell_vector(plan.descriptor, plan.problem, at.vector)
            self._do(
                "cublasLtMatmul",
                *(plan.handle, plan.descriptor, byref(number(1))),
                *(c_void_p(at.right), first, c_void_p(at.left), second),
                *(byref(number(0)), *out, *out),
                *(byref(plan.algorithm), c_void_p(workspace), c_size_t(plan.workspace), c_void_p(stream)),
            )

    def _handle(self, device: int) -> c_void_p:
        if device not in self._handles:
            handle = c_void_p()
            self._do("cublasLtCreate", byref(handle))
            self._handles[device] = handle
        return self._handles[device]

    def _make_plan(self, handle: c_void_p, problem: Problem, vector: int) -> Plan | None:
        descriptor = self._descriptor(problem, vector)
        rows, columns, depth = problem.rows, problem.columns, problem.depth
        layouts = (
            self._layout(problem.dtype, depth, columns, *problem.right),
            self._layout(problem.dtype, rows, depth, *problem.left),
            self._layout(problem.dtype, rows, columns, columns, False),
        )
        choice = self._choose(handle, descriptor, layouts, problem.alignments)
        if choice is None:
            return None
        return Plan(
            *(problem, handle, descriptor, layouts, choice.algorithm, int(choice.workspace), threading.Lock())
        )

    def _descriptor(self, problem: Problem, vector: int) -> c_void_p:
        descriptor, compute = c_void_p(), _COMPUTE_64F
        if problem.dtype == "float32":
            compute = _COMPUTE_32F_FAST_TF32 if self.tf32 else _COMPUTE_32F
        self._do("cublasLtMatmulDescCreate", byref(descriptor), c_int(compute), c_int(_REAL[problem.dtype]))
        self._set(descriptor, _TRANSPOSE_A, c_int32(problem.right[1]))
        self._set(descriptor, _TRANSPOSE_B, c_int32(problem.left[1]))
        self._set(descriptor, _EPILOGUE, c_uint32(problem.epilogue))
        self._tell_vector(descriptor, problem, vector)
        return descriptor

    def _tell_vector(self, descriptor: c_void_p, problem: Problem, vector: int) -> None:
        if problem.epilogue != Epilogue.NONE:
            self._set(descriptor, _VECTOR, c_void_p(vector))

    def _layout(self, dtype: str, rows: int, columns: int, stride: int, transposed: bool) -> c_void_p:
        """Describe a row-major matrix of (rows, columns), or one whose transpose lies row by row."""
        layout = c_void_p()
        down, across = (rows, columns) if transposed else (columns, rows)
        sizes = c_uint64(down), c_uint64(across), c_int64(stride)
        self._do("cublasLtMatrixLayoutCreate", byref(layout), c_int(_REAL[dtype]), *sizes)
        return layout

    def _choose(
        self,
        handle: c_void_p,
        descriptor: c_void_p,
        layouts: tuple[c_void_p, c_void_p, c_void_p],
        alignments: tuple[int, int, int],
    ) -> _Choice | None:
        preference, choice, count = c_void_p(), _Choice(), c_int()
        self._do("cublasLtMatmulPreferenceCreate", byref(preference))
        try:
            self._prefer(preference, _WORKSPACE_BYTES, c_uint64(self._limit))
            for place, alignment in enumerate((*alignments, alignments[-1])):  # C is D
                self._prefer(preference, _ALIGNMENT_A + place, c_uint32(alignment))
            first, second, result = layouts
            problem = handle, descriptor, first, second, result, result, preference
            status = self._library.cublasLtMatmulAlgoGetHeuristic(*problem, c_int(1), byref(choice), byref(count))
        finally:
            self._do("cublasLtMatmulPreferenceDestroy", preference)
        if status == _NOT_SUPPORTED or (status == 0 and (count.value == 0 or choice.state != 0)):
            return None
        _check("cublasLtMatmulAlgoGetHeuristic", status)
        return choice

    def _set(self, descriptor: c_void_p, attribute: int, value: Any) -> None:
        put = "cublasLtMatmulDescSetAttribute"
        self._do(put, descriptor, c_int(attribute), byref(value), c_size_t(sizeof(value)))

    def _prefer(self, preference: c_void_p, attribute: int, value: Any) -> None:
        put = "cublasLtMatmulPreferenceSetAttribute"
        self._do(put, preference, c_int(attribute), byref(value), c_size_t(sizeof(value)))

    def _do(self, function: str, *arguments: Any) -> None:
        _check(function, getattr(self._library, function)(*arguments))


def _check(function: str, status: int) -> None:
    if status:
        raise CublasLtError(f"{function} failed with status {status} (cublasStatus_t).")


def alignment(*addresses: int) -> int:
    """Return by how many bytes all addresses are aligned, 256 at most: what cuBLASLt asks for."""
    common = _BEST_ALIGNMENT
    for address in addresses:
        common |= address
    return common & -common


def load_library(cuda_major: int) -> Any:
    """Load cuBLASLt from where CuPy finds CUDA: wheels, conda, the toolkit, the system.

    Raises: OSError if it is nowhere.
    """
    library = ctypes.CDLL(_found_by_cupys_search() or _file_name(cuda_major))
    library.cublasLtGetVersion.restype = c_size_t
    return library


def _found_by_cupys_search() -> str | None:
    try:
        search = importlib.import_module("cuda.pathfinder")  # CuPy brings it along from version 14 on
        path: str | None = search.load_nvidia_dynamic_lib("cublasLt").abs_path
    except (ImportError, RuntimeError):
        return None
    return path


def _file_name(cuda_major: int) -> str:
    return f"cublasLt64_{cuda_major}.dll" if sys.platform == "win32" else f"libcublasLt.so.{cuda_major}"
