"""The door of the plain functions: users' arrays come in, and turn into what kernels take.

Textbooks write examples as columns, (features, examples); kernels take them as rows. The two are one piece of
memory: an A of shape (n, m) here is the transposed view of the (m, n) array that a kernel wrote, and W of shape
(n, n_prev) that of the (n_prev, n) array that `Dense` has. Nothing is copied where one becomes the other.

Arrays of the selected backend, in the dtype of the computation, are used as they are; those of another dtype,
NumPy's and nested lists are converted. The dtype is that of the weights or, where there are none, of the first
argument: float64 stays, all else is float32.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from nnx import registry
from nnx.border import Extents, as_dtype, to_host
from nnx.errors import BackendError, DataError, ShapeError
from nnx.interface import Array, Backend
from nnx.ops import Ops
from nnx.registry import find_owner

ArrayLike: TypeAlias = Any
"""What users pass: an array of the selected backend, one of NumPy's, or nested lists."""

ArraysByName: TypeAlias = Mapping[str, ArrayLike]
"""Parameters, gradients or moments: W1, b1, ..., or dW1, db1, ..."""


def ops_for(value: ArrayLike) -> Ops:
    """Return the operations of the selected backend, in float64 for arrays of float64, else in float32."""
    wide = _name_of(getattr(value, "dtype", None)) in ("float64", ">f8")  # the latter is float64 of another machine
    return _bound(registry.current(), "float64" if wide else "float32")


@lru_cache(maxsize=16)
def _bound(backend: Backend, dtype: str) -> Ops:
    return Ops(backend, dtype)


def _name_of(dtype: Hashable) -> str:
    """Return a dtype of any array library as a plain word."""
    return _named(type(dtype), dtype)  # by type first: dtypes of two libraries are not to be compared


@lru_cache(maxsize=64)
def _named(kind: type, dtype: Hashable) -> str:
    """Return the name; kept, since NumPy takes microseconds to make one."""
    del kind
    return str(dtype).rsplit(".", 1)[-1]


def shape_of(value: ArrayLike, argument: str, ops: Ops) -> tuple[int, ...]:
    """Return the shape of what a user passed: an array, or nested lists.

    Raises:
        ShapeError, DataError, DtypeError, BackendError: it is no array of numbers that can be used here.
    """
    return tuple(value.shape if ops.backend.owns(value) else host_array(value, argument, ops).shape)


def host_array(value: ArrayLike, argument: str, ops: Ops) -> NDArray[Any]:
    """Return what a user passed as an array of NumPy's.

    Raises:
        ShapeError, DataError, DtypeError, BackendError: it is no array of numbers that can be used here.
    """
    if isinstance(value, tuple) and value and len(getattr(value[0], "shape", ())) == 2:
        raise ShapeError(
            f"{argument} must be one array, got a tuple of {len(value)} parts. Functions that go forward return a "
            f"pair, the array and its cache: pass the first of the two, {argument}[0]."
        )
    owner = None if isinstance(value, np.ndarray) or ops.backend.owns(value) else find_owner(value)
    if owner is not None:  # caches of another backend would be next: nothing here moves them
        raise BackendError(
            f"{argument} is an array of the backend {owner.name!r}, but {ops.backend.name!r} computes here. Pass "
            f"nnx.get_backend({owner.name!r}).to_numpy({argument}), or compute on {owner.name!r} as well, by "
            f"nnx.set_backend({owner.name!r})."
        )
    return to_host(value, argument, ops)


def rows(
    value: ArrayLike, argument: str, ops: Ops, features: int | None = None, examples: int | None = None
) -> Array:
    """Return examples as kernels take them: (n, m) -> (m, n), a view where the array is fit for use.

    Raises:
        ShapeError: not a matrix, or one of another number of features or examples.
        DataError: no examples; NaN or infinity where values are converted.
        DtypeError, BackendError: not numbers, or an array of another backend.
    """
    return _turned(value, argument, ops, (features, examples), copy=False)


def own_rows(value: ArrayLike, argument: str, ops: Ops, features: int | None = None) -> Array:
    """Return `rows` that lie one behind the other in memory, and are finite: what is used often is best so."""
    return _turned(value, argument, ops, (features, None), copy=True)


def _turned(value: Any, argument: str, ops: Ops, wanted: Extents, copy: bool) -> Array:
    ready = not copy and _is_ready(value, ops)
    matrix = value if ready else host_array(value, argument, ops)
    _check_examples(tuple(matrix.shape), argument, *wanted)
    return matrix.T if ready else ops.asarray(as_dtype(matrix, ops.dtype, argument).T)


def _is_ready(value: Any, ops: Ops) -> bool:
    if isinstance(value, np.ma.MaskedArray) or not ops.backend.owns(value):
        return False
    return _name_of(value.dtype) == ops.dtype


def _check_examples(shape: tuple[int, ...], argument: str, features: int | None, examples: int | None) -> None:
    wanted = f"({features or 'features'}, {examples or 'examples'})"
    if len(shape) != 2:
        way = f"{argument}.reshape(-1, 1)" if len(shape) < 2 else f"{argument}.reshape(m, -1).T, for m examples,"
        hint = f" {way} has one column per example."
        raise ShapeError(f"{argument} must have shape {wanted}, got {shape}.{hint}")
    if features is not None and shape[0] != features:
        hint = f" These look like examples x features: pass {argument}.T." if shape[1] == features else ""
        raise ShapeError(f"{argument} must have shape {wanted}, one column per example, got {shape}.{hint}")
    if shape[1] == 0:
        raise DataError(f"{argument} holds no examples, got shape {shape}; give it at least one column.")
    if examples not in (None, shape[1]):
        raise ShapeError(f"{argument} must have shape {wanted}, one column per example, got {shape}.")


def weights(value: ArrayLike, argument: str, ops: Ops) -> Array:
    """Return weights as kernels take them: (n, n_prev) -> (n_prev, n), a view where the array is fit for use.

    Raises:
        ShapeError: not a matrix.
    """
    ready = _is_ready(value, ops)
    matrix = value if ready else host_array(value, argument, ops)
    if matrix.ndim != 2:
        raise ShapeError(f"{argument} must have shape (units, inputs), got {tuple(matrix.shape)}.")
    return matrix.T if ready else ops.asarray(as_dtype(matrix, ops.dtype, argument).T)


def biases(value: ArrayLike, argument: str, ops: Ops, units: int) -> Array:
    """Return biases as kernels take them: (n, 1) -> (n,), a view where the array is fit for use.

    Raises:
        ShapeError: not one column of so many units.
    """
    ready = _is_ready(value, ops)
    column = value if ready else host_array(value, argument, ops)
    check_column(tuple(column.shape), argument, units)
    return ops.flat(column if ready else ops.asarray(as_dtype(column, ops.dtype, argument)))


def check_column(shape: tuple[int, ...], argument: str, units: int) -> None:
    """Make sure that biases are one column with a row per unit.

    Raises:
        ShapeError: they are not.
    """
    if shape != (units, 1):
        hint = f" Pass {argument}.reshape(-1, 1)." if shape in ((units,), (1, units)) else ""
        raise ShapeError(f"{argument} must have shape ({units}, 1), one per unit, got {shape}.{hint}")


def copy_of(ops: Ops, array: Array) -> Array:
    """Return a contiguous copy of an array of the backend."""
    copy = ops.like(array)
    copy[...] = array
    return copy
