"""LLVM instructions that Python has no word for, on float32 and float64 alike where they take reals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir

from nnx_numba.internals import alloca_once, populate_array, types
from nnx_numba.jit import intrinsic

_SHIFTER = {"float": 1.5 * 2.0**23, "double": 1.5 * 2.0**52}  # so large that the last bit counts ones
_MANTISSA = {"float": 23, "double": 52}
_BIAS = {"float": 127, "double": 1023}
_EXACT = ("contract", "nsz", "arcp")

Emit = Callable[..., Any]
"""A function of LLVM values: the builder first, then the arguments; returns the result."""


def unary(emit: Emit) -> Callable[[Any], Any]:
    """Make an instruction that takes and returns one real."""

    @intrinsic
    def instruction(_context: Any, x: Any) -> Any:
        def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            return emit(builder, arguments[0])

        return x(x), generate

    return instruction


def binary(emit: Emit) -> Callable[[Any, Any], Any]:
    """Make an instruction that takes two values and returns one of the type of the first."""

    @intrinsic
    def instruction(_context: Any, a: Any, _b: Any) -> Any:
        def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            return emit(builder, *arguments)

        return a(a, a), generate

    return instruction


def number(single: float, double: float | None = None) -> Callable[[Any], Any]:
    """Make a constant that takes the type of its argument."""

    def emit(_builder: Any, like: Any) -> Any:
        return ir.Constant(like.type, single if double is None or str(like.type) == "float" else double)

    return unary(emit)


def polynomial(single: tuple[float, ...], double: tuple[float, ...]) -> Callable[[Any], Any]:
    """Make a polynomial by Horner's rule from coefficients, highest power first, for each of the two types."""

    def emit(builder: Any, x: Any) -> Any:
        total, *rest = (ir.Constant(x.type, c) for c in (single if str(x.type) == "float" else double))
        for coefficient in rest:
            total = builder.fadd(builder.fmul(total, x, flags=_EXACT), coefficient, flags=_EXACT)
        return total

    return unary(emit)


def _shifter(x: Any) -> Any:
    return ir.Constant(x.type, _SHIFTER[str(x.type)])


def _scaled(builder: Any, p: Any, exponent: Any) -> Any:
    name = str(p.type)
    integer = ir.IntType(32 if name == "float" else 64)
    n = builder.sub(builder.bitcast(exponent, integer), builder.bitcast(_shifter(p), integer))
    half = builder.ashr(n, integer(1))
    for part in (half, builder.sub(n, half)):
        bits = builder.shl(builder.add(part, integer(_BIAS[name])), integer(_MANTISSA[name]))
        p = builder.fmul(p, builder.bitcast(bits, p.type))
    return p


def _larger(builder: Any, a: Any, b: Any) -> Any:
    kind = ir.FunctionType(a.type, [a.type, a.type])
    maximum = builder.module.declare_intrinsic("llvm.maximum", [a.type], kind)
    return builder.call(maximum, [a, b], fastmath=("nsz",))


def _high_word(builder: Any, a: Any, b: Any) -> Any:
    wide = ir.IntType(128)
    product = builder.mul(builder.zext(a, wide), builder.zext(b, wide))
    return builder.trunc(builder.lshr(product, wide(64)), ir.IntType(64))


shifted = unary(lambda builder, x: builder.fadd(x, _shifter(x), flags=("contract",)))
"""Add a number so large that the sum holds x, rounded to an integer, in its last bits."""

unshifted = unary(lambda builder, x: builder.fsub(x, _shifter(x)))
"""Take it away again, which leaves the rounded integer."""

scaled = binary(_scaled)
"""Return p 2^n for a `shifted` n, in two steps, so that the result may be subnormal or overflow."""

accumulate = binary(lambda builder, a, b: builder.fadd(a, b, flags=("reassoc", "contract", "nsz")))
"""Add to a running sum whose terms may be regrouped, so that a loop can keep a sum per vector lane.

The loop must not store to an array: LLVM would guard its vector form by a comparison of addresses and sum in
another order where two small arrays lie close together, and equal calls would give unequal bits.
"""

larger = binary(_larger)
"""Return the larger of two, or NaN if either is."""

multiply_high = binary(_high_word)
"""Return the high 64 bits of the product of two unsigned 64-bit integers."""


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
