"""Kernel arguments: converted as CuPy converts them, and held against the kernel's parameters.

A GPU launch takes addresses and asks no questions; a Python float for a `float` parameter, or a
float64 array for a `float*`, gives wrong numbers there without a word. Here they are errors.

A parameter is described by launch.h: `f4` is a float, `i8*` a pointer to 8-byte integers, `V16*` one
to something NumPy has no type for, such as float4.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import numpy as np

_KNOWN = "fiub"
_INTEGERS = "iub"


def pack(kernel: str, parameters: Sequence[str], args: Sequence[Any]) -> list[Any]:
    """A ctypes object for each argument, whose addresses the launch takes.

    Raises: TypeError for an argument that a parameter would misread.
    """
    if len(args) != len(parameters):
        raise TypeError(f"{kernel} has {len(parameters)} parameters ({', '.join(parameters)}), got {len(args)}")
    return [_pack_one(f"{kernel}: argument {i}", parameters[i], value) for i, value in enumerate(args)]


def extents(args: Sequence[Any]) -> list[int]:
    """First address, end and position of the memory of each array, one after the other."""
    arrays = [(i, value) for i, value in enumerate(args) if isinstance(value, np.ndarray)]
    return [number for i, array in arrays for number in (*np.lib.array_utils.byte_bounds(array), i)]


def _pack_one(where: str, parameter: str, value: Any) -> Any:
    if isinstance(value, np.ndarray):
        if not _array_fits(parameter, value.dtype):
            raise TypeError(f"{where}: the parameter is {parameter}, got an array of {value.dtype}")
        return ctypes.c_void_p(value.ctypes.data)
    scalar = _scalar(where, value)
    if not _scalar_fits(parameter, scalar):
        raise TypeError(f"{where}: the parameter is {parameter}, got {scalar!r} ({scalar.dtype})")
    return (ctypes.c_char * max(1, scalar.nbytes)).from_buffer_copy(scalar.tobytes())


def _scalar(where: str, value: Any) -> np.generic:
    if isinstance(value, np.generic):
        return value
    if isinstance(value, bool):
        return np.bool_(value)
    if isinstance(value, int):
        return np.int64(value)
    if isinstance(value, float):
        return np.float64(value)
    raise TypeError(f"{where}: expected an array or a number, got {type(value).__name__}")


def _array_fits(parameter: str, dtype: np.dtype[Any]) -> bool:
    item = parameter.removesuffix("*")
    if item == parameter:
        return False
    if item.startswith("V") or item.endswith("*") or dtype.kind not in _KNOWN:
        return True  # opaque on one side
    same_kind = item[0] == dtype.kind or (item[0] in _INTEGERS and dtype.kind in _INTEGERS)
    return same_kind and int(item[1:]) == dtype.itemsize


def _scalar_fits(parameter: str, scalar: np.generic) -> bool:
    if parameter.endswith("*"):
        return False
    kind, size, given = parameter[0], int(parameter[1:]), scalar.dtype.kind
    if kind in "iu" and given in "iu":  # the launch copies as many bytes as the parameter has
        limits = np.iinfo(f"{kind}{size}")
        return size <= scalar.nbytes and int(limits.min) <= int(scalar) <= int(limits.max)
    return size == scalar.nbytes and (kind == given or kind == "V" or given not in _KNOWN)
