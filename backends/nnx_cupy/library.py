"""Products by cuBLASLt where it pays, and by our own kernels elsewhere."""

from __future__ import annotations

import logging
import os
from typing import Any

import numpy as np

from nnx.errors import OptionError
from nnx.interface import Array
from nnx_cupy.activations import ELEMENTWISE_KERNELS, functor
from nnx_cupy.cublaslt import Addresses, CublasLt, Epilogue, Problem, alignment, load_library
from nnx_cupy.kernels import Group
from nnx_cupy.launch import Launcher
from nnx_cupy.products import OwnProducts, Products

BIAS = Group("library", ("bias_activation",))
SUMS = Group("library", ("gradient_sums",))

TF32_VARIABLE = "NNX_CUPY_TF32"
"""The environment variable that allows TF32."""

_SMALL = 1 << 23
"""Multiplications in a product up to which our own kernels do it: some microseconds of work, as much as the further
launches cost that the library needs for split sums, bias and activation."""

_MEBIBYTE = 1 << 20
_log = logging.getLogger("nnx.backends.cupy")


class LibraryProducts:
    """Large products by cuBLASLt; small ones, and those for which it has no algorithm, by our own kernels.

    Of the library's epilogues two are used, which add a vector to the rows and sum the columns of a factor. Its
    ReLU is not: nothing says that a NaN comes out of it as NaN, and a network must not lose one.
    """

    def __init__(self, library: CublasLt, own: OwnProducts, small: int = _SMALL) -> None:
        """Take the library from more than `small` multiplications on."""
        self.library, self.own, self._small = library, own, small

    def describe(self) -> str:
        """See `Products.describe`."""
        return self.library.describe()

    def matmul(self, on: Launcher, a: Array, b: Array, out: Array, transpose_a: bool, transpose_b: bool) -> None:
        """See `Linear.matmul`."""
        self._product(on, a.T if transpose_a else a, b.T if transpose_b else b, out)

    def linear(
        self, on: Launcher, x: Array, w: Array, b: Array | None, y: Array, activation: str, alpha: float
    ) -> None:
        """See `Linear.linear`; a bias alone is the library's, all else one pass over the product."""
        plain = activation == "identity"
        if plain and b is not None and self._by_library(on, x, w, y, Epilogue.ADD_TO_ROWS, b):
            return
        if not self._by_library(on, x, w, y):
            self.own.linear(on, x, w, b, y, activation, alpha)
        elif b is not None or not plain:
            kernel = BIAS.of("bias_activation", y.dtype, functor(activation))
            numbers = np.int64(y.size), np.int64(y.shape[1]), y.dtype.type(alpha)
            on.launch_elements(kernel, on.packs(y), y, *on.or_any(b, y), *numbers)

    def linear_backward(
        self,
        on: Launcher,
        x: Array,
        y: Array,
        dy: Array,
        w: Array,
        dz: Array | None,
        dx: Array | None,
        dw: Array,
        db: Array | None,
        activation: str,
        alpha: float,
    ) -> None:
        """See `Linear.linear_backward`; db by the library where dz is dy, else dz and db in one pass."""
        if not self._is_large(x.shape[0], y.shape[1], x.shape[1]):
            self.own.linear_backward(on, x, y, dy, w, dz, dx, dw, db, activation, alpha)
            return
        gradient = dy if dz is None else dz
        fused = dz is None and db is not None
        if not (fused and self._by_library(on, x.T, dy, dw, Epilogue.SUM_RIGHT, db)):
            _gradient(on, y, dy, dz, db, activation, alpha)
            self._product(on, x.T, gradient, dw)  # (I, N) @ (N, O) -> (I, O)
        if dx is not None:
            self._product(on, gradient, w.T, dx)  # (N, O) @ (O, I) -> (N, I)

    def _product(self, on: Launcher, a: Array, b: Array, out: Array) -> None:
        if not self._by_library(on, a, b, out):
            self.own.matmul(on, a, b, out, transpose_a=False, transpose_b=False)

    def _is_large(self, rows: int, columns: int, depth: int) -> bool:
        return rows * columns * depth > self._small

    def _by_library(
        self,
        on: Launcher,
        a: Array,
        b: Array,
        out: Array,
        epilogue: Epilogue = Epilogue.NONE,
        vector: Array | None = None,
    ) -> bool:
        """Let the library compute out = a @ b; False, and nothing done, if that does not pay or cannot be."""
        (rows, depth), columns = a.shape, b.shape[1]
        if not self._is_large(rows, columns, depth):
            return False
        (a, left), (b, right) = _as_it_lies(on, a), _as_it_lies(on, b)
        vector = vector if vector is None else on.contiguous(vector)
        at = Addresses(*(0 if array is None else on.runtime.address(array) for array in (a, b, out, vector)))
        alignments = alignment(at.right), alignment(at.left), alignment(at.out)
        device, stream = on.runtime.place()
        problem = Problem(str(out.dtype), rows, columns, depth, left, right, epilogue, alignments)
        plan = self.library.plan(device, problem, at.vector)
        if plan is None:
            return False
        workspace = on.runtime.address(on.workspace(plan.workspace)) if plan.workspace else 0
        if not on.is_rehearsing:
            self.library.run(plan, at, workspace, stream)
        return True


def _as_it_lies(on: Launcher, matrix: Array) -> tuple[Array, tuple[int, bool]]:
    """Return a matrix that the library can read, the elements between its rows and whether it lies transposed."""
    (rows, columns), (down, across) = matrix.shape, (stride // matrix.itemsize for stride in matrix.strides)
    if across == 1 and down >= columns:
        return matrix, (down, False)
    if down == 1 and across >= rows:
        return matrix, (across, True)
    return on.xp.ascontiguousarray(matrix), (columns, False)


def _gradient(
    on: Launcher, y: Array, dy: Array, dz: Array | None, db: Array | None, activation: str, alpha: float
) -> None:
    """dz and db in one pass, or the one of them that is wanted."""
    y, dy = on.contiguous(y), on.contiguous(dy)
    function, factor = functor(activation), y.dtype.type(alpha)
    if db is not None:
        kernel = SUMS.of("gradient_sums", y.dtype, function)
        on.sum_columns(kernel, y.shape, y, dy, *on.or_any(dz, db), db, numbers=(factor,), dtype=y.dtype)
    elif dz is not None:
        kernel = ELEMENTWISE_KERNELS.of("activate_backward", y.dtype, function)
        on.launch_elements(kernel, on.packs(y), y, y, dy, dz, np.int64(y.size), factor)


def tf32_wanted() -> bool:
    """Return what the environment says about TF32; no by default.

    Raises: OptionError if it is neither 0 nor 1.
    """
    value = os.environ.get(TF32_VARIABLE, "0")
    if value not in ("0", "1"):
        raise OptionError(f"{TF32_VARIABLE} must be 1 to allow TF32, or 0, got {value!r}.")
    return value == "1"


def best_products(cupy: Any, tf32: bool) -> Products:
    """Return products by cuBLASLt, or by our own kernels alone where it cannot be loaded."""
    runtime = cupy.cuda.runtime
    own = OwnProducts()
    try:
        library = load_library(runtime.runtimeGetVersion() // 1000)
    except OSError as error:
        _log.warning("Matrices are multiplied by nnx's own kernels: cuBLASLt cannot be loaded (%s).", error)
        return own
    hopper = runtime.getDeviceProperties(runtime.getDevice())["major"] >= 9
    return LibraryProducts(CublasLt(library, tf32, (32 if hopper else 4) * _MEBIBYTE), own)
