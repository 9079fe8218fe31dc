"""Memory on the stack, and arrays over memory that something else owns."""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from nnx_numba.internals import alloca_once, populate_array, types
from nnx_numba.jit import intrinsic


@intrinsic
def stack(_context: Any, like: Any, size: Any) -> Any:
    """Return an uninitialised array of a fixed size on the stack, with elements of the type of `like`."""
    result, count = types.Array(like, 1, "C"), size.literal_value

    def generate(context: Any, builder: Any, _signature: Any, _arguments: Any) -> Any:
        kind = context.get_data_type(like)
        data = alloca_once(builder, ir.ArrayType(kind, count))
        data.align = 64
        return wrapped(context, builder, result, builder.bitcast(data, kind.as_pointer()), [count])

    return result(like, size), generate


def wrapped(context: Any, builder: Any, kind: Any, data: Any, shape: list[Any]) -> Any:
    """Build a C-contiguous array value over memory that something else owns."""
    array = context.make_array(kind)(context, builder)
    itemsize = ir.IntType(64)(context.get_abi_sizeof(context.get_data_type(kind.dtype)))
    extents = [ir.IntType(64)(n) if isinstance(n, int) else n for n in shape]
    strides: list[Any] = []
    step = itemsize
    for extent in reversed(extents):
        strides.insert(0, step)
        step = builder.mul(step, extent)
    populate_array(array, data, extents, strides, itemsize, meminfo=None)
    return array._getvalue()
