"""Checks of the array part: making, moving and describing arrays."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from nnx.conformance.report import Check, NonconformanceError
from nnx.conformance.stage import has_views
from nnx.conformance.tolerance import Values
from nnx.interface import Backend

DTYPES = ("float32", "float64", "int64", "int32", "uint8")
_SHAPES = ((), (0,), (1,), (257,), (31, 33), (3, 0, 2), (2, 3, 4, 5))


def array_checks() -> Iterator[Check]:
    """Yield the checks of the array part."""
    for check in (
        _round_trip,
        _strange_hosts,
        _own_copy,
        _conversion,
        _empty,
        _zeros,
        _owns,
        _describes,
        _named,
        _on_host,
    ):
        yield Check(f"arrays {check.__name__.strip('_').replace('_', ' ')}", "arrays", check)


def _require(condition: object, complaint: str) -> None:
    if not condition:
        raise NonconformanceError(f"arrays: {complaint}")


def _identical(got: Values, expected: Values) -> bool:
    return (
        got.dtype == expected.dtype
        and got.shape == expected.shape
        and np.array_equal(got, expected, equal_nan=expected.dtype.kind == "f")
    )


def _sample(shape: tuple[int, ...], dtype: str) -> Values:
    values = (np.arange(np.prod(shape, dtype=int)) * 37 % 251).astype(dtype).reshape(shape)
    if dtype.startswith("float") and values.size:
        flat = values.reshape(-1)
        flat[:] = flat / 3
        flat[:4] = np.asarray([np.nan, np.inf, -np.inf, -0.0])[: flat.size]
    return values


def _round_trip(backend: Backend) -> None:
    for dtype in DTYPES:
        for shape in _SHAPES:
            host = _sample(shape, dtype)
            back = backend.to_numpy(backend.asarray(host, dtype))
            _require(_identical(back, host), f"asarray and to_numpy change {dtype} {shape}: {back!r}")
            _require(not host.size or back.flags.writeable, f"to_numpy gives a read-only array for {dtype} {shape}")


def _strange_hosts(backend: Backend) -> None:
    for dtype in DTYPES:
        plain = _sample((6, 8), dtype)
        frozen = plain.copy()
        frozen.setflags(write=False)
        swapped = plain.astype(plain.dtype.newbyteorder())
        hosts = {
            "read-only": frozen,
            "transposed": plain.T,
            "strided": plain[::2, ::3],
            "reversed": plain[::-1, ::-1],
            "broadcast": np.broadcast_to(plain[0], (5, 8)),
            "byte-swapped": swapped,
        }
        for kind, host in hosts.items():
            back = backend.to_numpy(backend.asarray(host, dtype))
            _require(_identical(back, np.asarray(host, dtype)), f"asarray reads a {kind} {dtype} host wrongly")


def _own_copy(backend: Backend) -> None:
    host = np.arange(12.0).reshape(3, 4)
    array = backend.asarray(host, "float64")
    first = backend.to_numpy(array)
    host[...], first[...] = -1.0, -2.0
    again = backend.to_numpy(array)
    _require(
        np.array_equal(again, np.arange(12.0).reshape(3, 4)),
        "asarray or to_numpy shares memory with the host",
    )


def _conversion(backend: Backend) -> None:
    for source, target in (
        ("float64", "float32"),
        ("uint8", "float32"),
        ("int32", "int64"),
        ("int64", "float64"),
    ):
        host = _sample((33,), source)
        back = backend.to_numpy(backend.asarray(host, target))
        _require(_identical(back, host.astype(target)), f"asarray converts {source} to {target} wrongly")


def _empty(backend: Backend) -> None:
    for dtype in DTYPES:
        for shape in _SHAPES:
            array = backend.empty(shape, dtype)
            _require(tuple(array.shape) == shape, f"empty gives the shape {array.shape} for {shape}")
            _require(backend.dtype_name(array) == dtype, f"empty gives {array.dtype} for {dtype}")
            array[...] = 3
            _require(np.all(backend.to_numpy(array) == 3), f"empty {dtype} {shape} does not keep what is assigned")
    first, second = backend.empty((64,), "float32"), backend.empty((64,), "float32")
    first[...], second[...] = 1, 2
    _require(np.all(backend.to_numpy(first) == 1), "two arrays from empty share memory")
    _require(not has_views(backend) or _is_contiguous(backend), "empty gives an array that is not C-contiguous")


def _is_contiguous(backend: Backend) -> bool:
    """Tell, where reshaping to one axis gives a view, whether the elements lie in C order."""
    array = backend.empty((3, 5), "float32")
    flat = backend.xp.reshape(array, (-1,))
    flat[...] = backend.asarray(np.arange(15), "float32")
    return np.array_equal(backend.to_numpy(array), np.arange(15).reshape(3, 5))


def _zeros(backend: Backend) -> None:
    for dtype in DTYPES:
        for shape in _SHAPES:
            back = backend.to_numpy(backend.zeros(shape, dtype))
            _require(_identical(back, np.zeros(shape, dtype)), f"zeros {dtype} {shape} gives {back!r}")


def _owns(backend: Backend) -> None:
    for array in (
        backend.asarray(np.ones(3), "float32"),
        backend.empty((), "int64"),
        backend.zeros((2, 2), "uint8"),
    ):
        _require(backend.owns(array), f"owns denies an array of its own, {type(array).__name__}")
    for value in ([1.0, 2.0], (1, 2), 3.0, None, "array", memoryview(b"bytes"), _Foreign()):
        _require(not backend.owns(value), f"owns claims {value!r}")
    own = backend.asarray(np.ones(3), "float32")
    if not isinstance(own, np.ndarray):
        _require(not backend.owns(np.ones(3)), "owns claims a NumPy array")


class _Foreign:
    """An array of some other backend, as far as attributes go."""

    dtype, shape, ndim = "float32", (3,), 1


def _describes(backend: Backend) -> None:
    _require(isinstance(backend.device(), str) and backend.device(), "device must be a few words")
    free, total = backend.memory()
    _require(free is None or 0 <= free <= total, f"memory is {free} bytes of {total}")
    _require(backend.ran_out(MemoryError()), "ran_out denies that Python's MemoryError is one")
    _require(not backend.ran_out(ValueError()), "ran_out takes a ValueError for memory that ended")
    backend.synchronize()


def _named(backend: Backend) -> None:
    _require(isinstance(backend.name, str) and backend.name, "the backend needs a name")
    for dtype in DTYPES:
        shown = backend.dtype_name(backend.empty((1,), dtype))
        _require(shown == dtype, f"dtype_name of a {dtype} array is {shown!r}")


def _on_host(backend: Backend) -> None:
    is_numpy = isinstance(backend.zeros((2,), "float32"), np.ndarray)
    _require(backend.on_host == is_numpy, f"on_host is {backend.on_host}, but arrays are NumPy's: {is_numpy}")
