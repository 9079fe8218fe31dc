"""cuBLASLt as its documentation describes it, on the CPU: column-major matrices, read and written by address.

It shares nothing with `nnx_cupy.cublaslt` but the C interface, so that a wrong leading dimension, a swapped flag or
a vector laid along the wrong side gives wrong numbers here as it would there.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

SUCCESS, INVALID_VALUE, NOT_SUPPORTED = 0, 7, 15
ELEMENT = {0: np.float32, 1: np.float64}
COMPUTE = {68: "float32", 77: "tf32", 70: "float64"}
Matrix = NDArray[Any]


class FakeCublasLt:
    """The functions that the binding calls.

    Attributes:
        refused: epilogues for which there is no algorithm.
        workspace: bytes that every algorithm borrows.
        products: what was asked for: (compute type, epilogue, stream, workspace address).
        alignments: what the heuristics were told, by attribute; choices: how often they were asked.
        submit: runs the work of a product, now or when a captured graph is launched.
    """

    def __init__(self, refused: tuple[int, ...] = (), workspace: int = 4096) -> None:
        self.refused, self.workspace = refused, workspace
        self.products: list[tuple[str, int, int | None, int | None]] = []
        self.alignments: list[dict[int, int]] = []
        self.choices = 0
        self.submit: Callable[..., None] = lambda work, *arguments: work(*arguments)
        self._objects: dict[int, dict[Any, Any]] = {}
        self._lock = threading.Lock()

    def cublasLtGetVersion(self) -> int:
        return 130100

    def cublasLtCreate(self, handle: Any) -> int:
        return self._create(handle, {})

    def cublasLtMatmulDescCreate(self, descriptor: Any, compute: Any, scale: Any) -> int:
        return self._create(descriptor, {"compute": compute.value, "scale": scale.value})

    def cublasLtMatrixLayoutCreate(self, layout: Any, kind: Any, rows: Any, columns: Any, leading: Any) -> int:
        if leading.value < rows.value or min(rows.value, columns.value) < 1:
            return INVALID_VALUE
        shape = {"kind": kind.value, "rows": rows.value, "columns": columns.value, "leading": leading.value}
        return self._create(layout, shape)

    def cublasLtMatmulPreferenceCreate(self, preference: Any) -> int:
        return self._create(preference, {})

    def cublasLtMatmulPreferenceDestroy(self, preference: Any) -> int:
        del self._objects[preference.value]
        return SUCCESS

    def cublasLtMatmulDescSetAttribute(self, descriptor: Any, attribute: Any, value: Any, size: Any) -> int:
        return self._set(descriptor, attribute, value, size)

    def cublasLtMatmulPreferenceSetAttribute(self, preference: Any, attribute: Any, value: Any, size: Any) -> int:
        return self._set(preference, attribute, value, size)

    def cublasLtMatmulAlgoGetHeuristic(
        self, _handle: Any, descriptor: Any, _a: Any, _b: Any, _c: Any, _d: Any, preference: Any, *results: Any
    ) -> int:
        self.choices += 1
        self.alignments.append({key: self._objects[preference.value][key] for key in (5, 6, 7, 8)})
        _wanted, choice, count = results
        if self._objects[descriptor.value][7] in self.refused:
            return NOT_SUPPORTED
        choice._obj.workspace, choice._obj.state, count._obj.value = self.workspace, SUCCESS, 1
        return SUCCESS

    def cublasLtMatmul(self, _handle: Any, descriptor: Any, alpha: Any, *arguments: Any) -> int:
        a, a_layout, b, b_layout, beta, _c, _c_layout, d, d_layout, _algorithm, workspace, size, stream = arguments
        told = self._objects[descriptor.value]
        if size.value < self.workspace or (alpha._obj.value, beta._obj.value) != (1.0, 0.0):
            return INVALID_VALUE
        self.products.append((COMPUTE[told["compute"]], told[7], stream.value, workspace.value))
        matrices = self._matrix(a, a_layout), self._matrix(b, b_layout), self._matrix(d, d_layout)
        self.submit(self._multiply, dict(told), *matrices)
        return SUCCESS

    def _multiply(self, told: dict[Any, Any], left: Matrix, right: Matrix, out: Matrix) -> None:
        left, right = left.T if told[3] else left, right.T if told[4] else right
        out[...] = left @ right
        if told[7] == 4:  # BIAS: one element for each row
            out += self._vector(told, out.shape[0])[:, None]
        if told[7] == 256:  # BGRADA: sums of A over the inner dimension
            self._vector(told, out.shape[0])[...] = left.sum(axis=1)

    def _create(self, place: Any, contents: dict[Any, Any]) -> int:
        with self._lock:
            place._obj.value = len(self._objects) + 1000
            self._objects[place._obj.value] = contents
        return SUCCESS

    def _set(self, of: Any, attribute: Any, value: Any, size: Any) -> int:
        if size.value != ctypes.sizeof(value._obj):
            return INVALID_VALUE
        self._objects[of.value][attribute.value] = value._obj.value
        return SUCCESS

    def _matrix(self, address: Any, layout: Any) -> NDArray[Any]:
        """The column-major matrix that a layout describes."""
        shape = self._objects[layout.value]
        elements = shape["leading"] * (shape["columns"] - 1) + shape["rows"]
        flat = _memory(address.value, elements, ELEMENT[shape["kind"]])
        step = flat.itemsize
        sizes = (shape["rows"], shape["columns"])
        return np.lib.stride_tricks.as_strided(flat, sizes, (step, step * shape["leading"]))

    def _vector(self, told: dict[Any, Any], length: int) -> NDArray[Any]:
        return _memory(told[8], length, ELEMENT[told["scale"]])


def _memory(address: int, elements: int, kind: Any) -> NDArray[Any]:
    buffer = (ctypes.c_char * (elements * np.dtype(kind).itemsize)).from_address(address)
    return np.frombuffer(buffer, kind)
