"""Arithmetic on vectors: formulas that are traced into LLVM.

A formula is a Python function of `Value`s. It runs while a kernel is compiled, and leaves the instructions behind
that its operators stand for; the same formula serves scalars and vectors of float32 and float64. LLVM's own
vectoriser would do for long loops, but it leaves the last elements of a row to scalar code, which is most of a
row of ten, and does not interleave a long formula with itself, so that one waits for its own results. Inlining
helpers in Numba would take most of the time that a kernel takes to compile.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any

from llvmlite import ir

from nnx_numba.jit import intrinsic

INTERLEAVED = 4
"""Vector registers that one instruction of a formula stands for, so that none waits for the one before."""

WORD = ir.IntType(64)
_INT = ir.IntType(32)
_EXACT = ("contract", "nsz", "arcp")
_MANTISSA = {"float": 23, "double": 52}
_BIAS = {"float": 127, "double": 1023}
_NAMES = {"float": "f32", "double": "f64"}
_REALS = {"float": ir.FloatType(), "double": ir.DoubleType()}
_SIZES = {"float": 4, "double": 8}

Formula = Callable[..., Any]
"""A function of Values that returns one Value or a tuple of them."""


def _element(kind: Any) -> Any:
    return kind.element if isinstance(kind, ir.VectorType) else kind


def fill(builder: Any, kind: Any, scalar: Any) -> Any:
    """Return the scalar in every lane of a vector type, or the scalar itself."""
    if not isinstance(kind, ir.VectorType):
        return scalar
    unknown = ir.Constant(kind, ir.Undefined)
    first = builder.insert_element(unknown, scalar, _INT(0))
    return builder.shuffle_vector(first, unknown, ir.Constant(ir.VectorType(_INT, kind.count), None))


def call(builder: Any, name: str, result: Any, *arguments: Any, flags: tuple[str, ...] = ()) -> Any:
    """Call an LLVM intrinsic function."""
    kind = ir.FunctionType(result, [argument.type for argument in arguments])
    function = builder.module.globals.get(name) or ir.Function(builder.module, kind, name)
    return builder.call(function, arguments, fastmath=flags)


class Value:
    """A real number, or a vector of them, that a formula computes with."""

    def __init__(self, builder: Any, llvm: Any) -> None:
        """Take the LLVM value and the builder that goes on from it."""
        self.builder, self.llvm = builder, llvm

    @property
    def kind(self) -> str:
        """Name of the elements' type, float or double."""
        return str(_element(self.llvm.type))

    def constant(self, single: float, double: float | None = None) -> Value:
        """Return a number of this value's type; float64 may have one of its own."""
        number = single if double is None or self.kind == "float" else double
        scalar = ir.Constant(_element(self.llvm.type), number)
        return Value(self.builder, fill(self.builder, self.llvm.type, scalar))

    def filled(self, scalar: Any) -> Value:
        """Return a float64 LLVM value in this value's type, in every lane."""
        element = _element(self.llvm.type)
        narrow = scalar if self.kind == "double" else self.builder.fptrunc(scalar, element)
        return Value(self.builder, fill(self.builder, self.llvm.type, narrow))

    def polynomial(self, single: tuple[float, ...], double: tuple[float, ...]) -> Value:
        """Evaluate a polynomial of this value by Horner's rule; coefficients with the highest power first."""
        total, *rest = map(self.constant, single if self.kind == "float" else double)
        for coefficient in rest:
            total = total * self + coefficient
        return total

    def _combined(self, instruction: str, first: Value | float, second: Value | float) -> Value:
        a, b = (part if isinstance(part, Value) else self.constant(part) for part in (first, second))
        return Value(self.builder, getattr(self.builder, instruction)(a.llvm, b.llvm, flags=_EXACT))

    def __add__(self, other: Value | float) -> Value:
        return self._combined("fadd", self, other)

    def __radd__(self, other: float) -> Value:
        return self._combined("fadd", other, self)

    def __sub__(self, other: Value | float) -> Value:
        return self._combined("fsub", self, other)

    def __rsub__(self, other: float) -> Value:
        return self._combined("fsub", other, self)

    def __mul__(self, other: Value | float) -> Value:
        return self._combined("fmul", self, other)

    def __rmul__(self, other: float) -> Value:
        return self._combined("fmul", other, self)

    def __truediv__(self, other: Value | float) -> Value:
        return self._combined("fdiv", self, other)

    def __rtruediv__(self, other: float) -> Value:
        return self._combined("fdiv", other, self)

    def __neg__(self) -> Value:
        return Value(self.builder, self.builder.fneg(self.llvm, flags=_EXACT))

    def __abs__(self) -> Value:
        return self.called("fabs")

    def _compared(self, operator: str, other: Value | float) -> Any:
        b = other if isinstance(other, Value) else self.constant(other)
        return self.builder.fcmp_ordered(operator, self.llvm, b.llvm)

    def __lt__(self, other: Value | float) -> Any:
        return self._compared("<", other)

    def __le__(self, other: Value | float) -> Any:
        return self._compared("<=", other)

    def __gt__(self, other: Value | float) -> Any:
        return self._compared(">", other)

    def __ge__(self, other: Value | float) -> Any:
        return self._compared(">=", other)

    def equals(self, other: Value | float) -> Any:
        """Compare; a NaN equals nothing."""
        return self._compared("==", other)

    def same(self, other: Value) -> Any:
        """Compare integers, such as positions."""
        return self.builder.icmp_signed("==", self.llvm, other.llvm)

    def called(self, name: str, *others: Value) -> Value:
        """Call an LLVM function of reals by its short name."""
        kind = self.llvm.type
        count = f"v{kind.count}" if isinstance(kind, ir.VectorType) else ""
        operands = [self.llvm, *(other.llvm for other in others)]
        full = f"llvm.{name}.{count}{_NAMES[self.kind]}"
        return Value(self.builder, call(self.builder, full, kind, *operands, flags=("nsz",)))

    def to(self, element: Any) -> Value:
        """Return the value in float32 or float64, given as an LLVM type."""
        if self.kind == str(element):
            return self
        kind = self.llvm.type
        kind = ir.VectorType(element, kind.count) if isinstance(kind, ir.VectorType) else element
        convert = self.builder.fpext if self.kind == "float" else self.builder.fptrunc
        return Value(self.builder, convert(self.llvm, kind))

    def widened(self) -> Value:
        """Return the value in float64."""
        return self.to(_REALS["double"])

    def like(self, other: Value) -> Value:
        """Return the value in the other's type."""
        return self.to(_element(other.llvm.type))

    def bits(self) -> Any:
        """Return the bit pattern as an LLVM integer, or a vector of them."""
        return self.builder.bitcast(self.llvm, self._integer())

    def with_bits(self, pattern: Any) -> Value:
        """Return the value of this type that has the bit pattern."""
        return Value(self.builder, self.builder.bitcast(pattern, self.llvm.type))

    def integer(self, number: int) -> Any:
        """Return an integer as wide as this value, in every lane."""
        kind = self._integer()
        return fill(self.builder, kind, ir.Constant(_element(kind), number))

    def _integer(self) -> Any:
        kind, size = self.llvm.type, ir.IntType(8 * _SIZES[self.kind])
        return ir.VectorType(size, kind.count) if isinstance(kind, ir.VectorType) else size


def where(condition: Any, chosen: Value | float, other: Value | float) -> Value:
    """Choose by a comparison; one of the two must be a Value."""
    a, b = (
        part if isinstance(part, Value) else like.constant(part)  # type: ignore[union-attr]  # one is a Value
        for part, like in ((chosen, other), (other, chosen))
    )
    return Value(a.builder, a.builder.select(condition, a.llvm, b.llvm))


def at_least(x: Value, low: Value | float) -> Value:
    """The larger of x and low; NaN if x is."""
    return where(x < low, low, x)


def at_most(x: Value, high: Value | float) -> Value:
    """The smaller of x and high; NaN if x is."""
    return where(x > high, high, x)


def larger(a: Value, b: Value) -> Value:
    """The larger of two; NaN if either is."""
    return a.called("maximum", b)


def sqrt(x: Value) -> Value:
    """The square root."""
    return x.called("sqrt")


def shifted(x: Value) -> Value:
    """Add a number so large that the sum's last bits hold x, rounded to an integer and biased like an exponent."""
    return x + _shifter(x)


def unshifted(n: Value) -> Value:
    """Take it away again, which leaves the rounded integer."""
    return n - _shifter(n)


def _shifter(x: Value) -> Value:
    return x.constant(1.5 * 2.0**23 + _BIAS["float"], 1.5 * 2.0**52 + _BIAS["double"])


def power_of_two(n: Value) -> Value:
    """2^n for a `shifted` n, where that is a normal number; elsewhere it has no meaning."""
    return n.with_bits(n.builder.shl(n.bits(), n.integer(_MANTISSA[n.kind])))


def scaled(p: Value, n: Value) -> Value:
    """P 2^n for a `shifted` n, in two steps, so that the result may be subnormal or overflow."""
    builder, bias = p.builder, n.integer(_BIAS[n.kind])
    whole = builder.sub(n.bits(), _shifter(n).bits())
    half = builder.ashr(whole, n.integer(1))
    for part in (half, builder.sub(whole, half)):
        power = builder.shl(builder.add(part, bias), n.integer(_MANTISSA[n.kind]))
        p = Value(builder, builder.fmul(p.llvm, n.with_bits(power).llvm))
    return p


def exponent_and_rest(x: Value) -> tuple[Value, Value]:
    """n and m between sqrt(1/2) and sqrt(2) with x = m 2^n, of a normal x > 0; a NaN has no meaning."""
    builder, mantissa = x.builder, x.integer(_MANTISSA[x.kind])
    root = x.constant(math.sqrt(0.5)).bits()
    n = builder.ashr(builder.sub(x.bits(), root), mantissa)
    m = x.with_bits(builder.sub(x.bits(), builder.shl(n, mantissa)))
    return Value(builder, builder.sitofp(n, x.llvm.type)), m


def scalar(formula: Formula) -> Any:
    """Make a formula of one, two or three Values and one result callable on scalars in compiled code."""

    def emit(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return formula(*(Value(builder, argument) for argument in arguments)).llvm

    def of_one(_context: Any, a: Any) -> Any:
        return a(a), emit

    def of_two(_context: Any, a: Any, b: Any) -> Any:
        return a(a, b), emit

    def of_three(_context: Any, a: Any, b: Any, c: Any) -> Any:
        return a(a, b, c), emit

    return intrinsic((of_one, of_two, of_three)[len(inspect.signature(formula).parameters) - 1])
