"""Allocation, checks, dispatch and recording: what every operation is made of."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from nnx.errors import BackendError, DtypeError, ShapeError
from nnx.interface import Array, Backend, Tape
from nnx.ops.foreign import ForeignKernel
from nnx.tape import Kernel

_PLAIN = (type(None), bool, int, float, str, tuple)


class OpsCore:
    """What all operations share: arrays and recording.

    Attributes:
        backend: where the arrays live and the kernels run.
        dtype: the floating dtype of the model, "float32" or "float64".
    """

    def __init__(self, backend: Backend, dtype: str) -> None:
        """Bind to a backend; recordings are kept per thread, so that threads may share an Ops."""
        self.backend, self.dtype = backend, dtype
        self._recording = threading.local()

    @contextmanager
    def recording(self, tape: Tape | None = None) -> Iterator[Tape]:
        """Record every kernel call that this thread makes inside the `with` block, once it has run.

        Args:
            tape: what the calls are appended to; a new one by default.
        """
        tape = Tape() if tape is None else tape
        self._recording.tape = tape
        try:
            yield tape
        finally:
            self._recording.tape = None

    def call(self, kernel: Kernel, *arguments: Any) -> None:
        """Run a kernel of this backend, or a function of one's own, on finished arguments, and record the call.

        A function compiled by Numba with `parallel=True` may be such a kernel, also where models train in several
        threads: where Numba's threads bear only one call at a time, the calls wait for each other.

        Raises:
            BackendError: an argument is an array of another backend.
        """
        for argument in arguments:
            if not isinstance(argument, _PLAIN) and not self.backend.owns(argument):
                raise BackendError(self._foreign(argument))
        if not self.is_own(kernel):
            kernel = ForeignKernel(kernel)
        kernel(*arguments)
        tape = getattr(self._recording, "tape", None)
        if tape is not None:
            tape.append(kernel, arguments)

    def is_own(self, kernel: Kernel) -> bool:
        """Tell whether a kernel is a method of the backend; any other is somebody's own function."""
        return getattr(kernel, "__self__", None) is self.backend

    def _foreign(self, value: object) -> str:
        kind = f"{type(value).__module__}.{type(value).__qualname__}"
        return (
            f"Arrays of two backends were mixed: this model runs on {self.backend.name!r}, got a {kind}. "
            "Move the model with model.to(...), or convert the array with its own backend's to_numpy."
        )

    def asarray(self, values: Any, dtype: str | None = None) -> Array:
        """Copy host values to the device, in the model's dtype unless another is named."""
        return self.backend.asarray(np.asarray(values), dtype or self.dtype)

    def empty(self, *shape: int, dtype: str | None = None) -> Array:
        """Allocate an array with undefined contents, in the model's dtype unless another is named."""
        return self.backend.empty(shape, dtype or self.dtype)

    def reshape(self, x: Array, shape: tuple[int, ...]) -> Array:
        """Return a view of the same elements in another shape."""
        if tuple(x.shape) == shape:
            return x
        if not self.backend.owns(x):
            raise BackendError(self._foreign(x))
        return self.backend.xp.reshape(x, shape)

    def rows(self, x: Array) -> Array:
        """Return a view with all axes but the last made one: (..., F) -> (N, F)."""
        return self.reshape(x, (math.prod(x.shape[:-1]), x.shape[-1]))

    def samples(self, x: Array) -> Array:
        """Return a view with all axes but the first made one: (N, ...) -> (N, F)."""
        return self.reshape(x, (x.shape[0], math.prod(x.shape[1:])))

    def like(self, x: Array) -> Array:
        """Allocate an array of the shape and dtype of another."""
        return self.backend.empty(tuple(x.shape), self.backend.dtype_name(x))

    def flat(self, x: Array) -> Array:
        """Return a view with all axes made one: (...) -> (N,)."""
        return self.reshape(x, (math.prod(x.shape),))

    def scalar(self, dtype: str | None = None) -> Array:
        """Allocate a 0-d array, in the model's dtype unless another is named."""
        return self.empty(dtype=dtype)

    def same(self, operation: str, **arrays: Array) -> None:
        """Raise ShapeError unless all named arrays have one shape, DtypeError unless they have one dtype."""
        self.owned(operation, **arrays)
        shapes = {name: tuple(array.shape) for name, array in arrays.items()}
        if len(set(shapes.values())) > 1:
            shown = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
            raise ShapeError(f"{operation} expects arrays of one shape, got {shown}.")
        if len({array.dtype for array in arrays.values()}) > 1:
            shown = ", ".join(f"{name} {array.dtype}" for name, array in arrays.items())
            raise DtypeError(f"{operation} expects arrays of one dtype, got {shown}.")

    def fit(self, operation: str, shape: tuple[int, ...], like: Array, **arrays: Array | None) -> None:
        """Check the named arrays that there are, before compiled code computes addresses from the shape of another.

        Raises:
            ShapeError: one has another shape than this.
            DtypeError, BackendError: one has another dtype than `like`, is no array, or lives on another backend.
        """
        for name, array in arrays.items():
            if array is None:
                continue
            self.owned(operation, **{name: array})
            if tuple(array.shape) != shape:
                raise ShapeError(f"{operation} expects {name} {shape}, got {tuple(array.shape)}.")
            if array.dtype != like.dtype:
                raise DtypeError(f"{operation} expects {name} of dtype {like.dtype}, got {array.dtype}.")

    def owned(self, operation: str, **arrays: object) -> None:
        """Raise DtypeError for a named value that is no array, BackendError for one of another backend."""
        for name, value in arrays.items():
            if self.backend.owns(value):
                continue
            if hasattr(value, "dtype"):
                raise BackendError(self._foreign(value))
            kind = type(value).__name__
            raise DtypeError(f"{operation} expects {name} to be an array, got a {kind}; make one by ops.asarray.")

    def like_weights(self, operation: str, weights: Array, **arrays: Array) -> None:
        """Raise DtypeError unless all named arrays have the dtype of the weights, BackendError for foreign ones."""
        self.owned(operation, **arrays)
        for name, array in arrays.items():
            if array.dtype != weights.dtype:
                raise DtypeError(
                    f"{operation} expects {name} of dtype {weights.dtype}, like the weights, got {array.dtype}."
                )

    def whole_numbers(self, operation: str, dtype: str = "int64", **arrays: Array) -> None:
        """Raise DtypeError unless all named arrays are of this integer dtype, BackendError for foreign ones."""
        self.owned(operation, **arrays)
        for name, array in arrays.items():
            if self.backend.dtype_name(array) != dtype:
                raise DtypeError(f"{operation} expects {name} of dtype {dtype}, got {array.dtype}.")
