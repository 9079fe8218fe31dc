"""Vectors in arrays: reading and writing under a mask, running folds, and the loops around them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from llvmlite import ir

from nnx_numba.internals import alloca_once, register_bytes
from nnx_numba.lanes import WORD, Value, call, fill, larger, where

_INT = ir.IntType(32)


@dataclass(frozen=True)
class Fold:
    """A way to make one number of many."""

    combine: Callable[[Value, Value], Value]
    neutral: float
    wide: bool = False  # in float64 whatever the arrays are


TOTAL = Fold(lambda a, b: a + b, 0.0)
WIDE_TOTAL = Fold(lambda a, b: a + b, 0.0, wide=True)
LARGEST = Fold(larger, float("-inf"))
TOP = Fold(lambda a, b: where(a > b, a, b), float("-inf"))
"""The largest in half of the instructions, where a NaN shows in what is made with it anyway."""


@contextmanager
def loop(builder: Any, start: Any, stop: Any, step: Any = 1) -> Iterator[Any]:
    """Emit `for index in range(start, stop, step)` around what the block emits."""
    counter = alloca_once(builder, WORD)
    builder.store(start, counter)
    test, body, end = (builder.append_basic_block(name) for name in ("test", "body", "end"))
    builder.branch(test)
    builder.position_at_end(test)
    index = builder.load(counter, typ=WORD)
    builder.cbranch(builder.icmp_signed("<", index, stop), body, end)
    builder.position_at_end(body)
    yield index
    builder.store(builder.add(index, WORD(step) if isinstance(step, int) else step), counter)
    builder.branch(test)
    builder.position_at_end(end)


@contextmanager
def loop_while(builder: Any, condition: Callable[[], Any]) -> Iterator[None]:
    """Emit `while condition():` around what the block emits."""
    test, body, end = (builder.append_basic_block(name) for name in ("test", "body", "end"))
    builder.branch(test)
    builder.position_at_end(test)
    builder.cbranch(condition(), body, end)
    builder.position_at_end(body)
    yield
    builder.branch(test)
    builder.position_at_end(end)


def smaller(builder: Any, a: Any, b: Any) -> Any:
    """The smaller of two integers."""
    return builder.select(builder.icmp_signed("<", a, b), a, b)


class Lanes:
    """Vectors of so many lanes, the first few of them in use where there is a mask."""

    def __init__(self, builder: Any, count: int, remaining: Any = None) -> None:
        """Take the number of lanes, and how many elements are left to do if these may be fewer."""
        self.builder, self.count, self.mask = builder, count, None
        self._integers = ir.VectorType(_INT, count)
        self._numbers = ir.Constant(self._integers, list(range(count)))
        if remaining is not None:
            self.mask = builder.icmp_unsigned("<", self._numbers, self.filled(remaining).llvm)

    def load(self, address: Any, element: Any, masked: bool = True) -> Value:
        """Read; lanes outside the mask are 0, or whatever is there."""
        kind, size = ir.VectorType(element, self.count), size_of(element)
        address = self.builder.bitcast(address, kind.as_pointer())
        if self.mask is None or not masked:
            return Value(self.builder, self.builder.load(address, align=size, typ=kind))
        name, zeros = f"llvm.masked.load.{self._suffix(element)}", ir.Constant(kind, None)
        return Value(self.builder, call(self.builder, name, kind, address, _INT(size), self.mask, zeros))

    def store(self, value: Value, address: Any, element: Any, masked: bool = True) -> None:
        """Write the lanes under the mask, or all, rounded to the element type."""
        kind, size = ir.VectorType(element, self.count), size_of(element)
        address, llvm = self.builder.bitcast(address, kind.as_pointer()), value.to(element).llvm
        if self.mask is None or not masked:
            self.builder.store(llvm, address, align=size)
        else:
            name = f"llvm.masked.store.{self._suffix(element)}"
            call(self.builder, name, ir.VoidType(), llvm, address, _INT(size), self.mask)

    def _suffix(self, element: Any) -> str:
        return f"v{self.count}f{8 * size_of(element)}.p0"

    def filled(self, scalar: Any) -> Value:
        """Return a scalar in every lane; an integer as one of 32 bits."""
        if isinstance(scalar.type, ir.IntType):
            return Value(self.builder, fill(self.builder, self._integers, self.builder.trunc(scalar, _INT)))
        return Value(self.builder, fill(self.builder, ir.VectorType(scalar.type, self.count), scalar))

    def positions(self, start: Any) -> Value:
        """Return the lanes' indices if the first has the index `start`."""
        return Value(self.builder, self.builder.add(self.filled(start).llvm, self._numbers))

    def only(self, value: Value, neutral: float) -> Value:
        """Return the value with the neutral element outside the mask."""
        if self.mask is None:
            return value
        other = value.constant(neutral)
        return Value(self.builder, self.builder.select(self.mask, value.llvm, other.llvm))


LINE = 64
"""Bytes of a cache line."""


def size_of(element: Any) -> int:
    """Bytes of one element."""
    return {"float": 4, "double": 8}[str(element)]


def lanes_of(element: Any) -> int:
    """How many elements one register holds."""
    return register_bytes() // size_of(element)


class Accumulator:
    """A running fold with a partial result per lane."""

    def __init__(self, builder: Any, fold: Fold, element: Any, count: int) -> None:
        """Begin with the neutral element in every lane."""
        self.fold, self._builder = fold, builder
        self._type = ir.VectorType(ir.DoubleType() if fold.wide else element, count)
        self._place = alloca_once(builder, self._type)
        neutral = ir.Constant(self._type.element, fold.neutral)
        builder.store(fill(builder, self._type, neutral), self._place)

    def value(self) -> Value:
        """Return the partial results."""
        return Value(self._builder, self._builder.load(self._place, typ=self._type))

    def add(self, value: Value, lanes: Lanes) -> None:
        """Fold in what is under the mask."""
        value = lanes.only(value.widened() if self.fold.wide else value, self.fold.neutral)
        self._builder.store(self.fold.combine(self.value(), value).llvm, self._place)

    def folded(self, count: int) -> Value:
        """Fold halves onto each other until `count` lanes are left: a tree, always of the same shape."""
        value, width = self.value(), self._type.count
        while width > count:
            width //= 2
            value = self.fold.combine(self._part(value, 0, width), self._part(value, width, width))
        return value

    def _part(self, value: Value, first: int, width: int) -> Value:
        which = ir.Constant(ir.VectorType(_INT, width), list(range(first, first + width)))
        unknown = ir.Constant(value.llvm.type, ir.Undefined)
        return Value(self._builder, self._builder.shuffle_vector(value.llvm, unknown, which))

    def result(self) -> Any:
        """Return the one number, as an LLVM value."""
        return self._builder.extract_element(self.folded(1).llvm, _INT(0))


@dataclass(frozen=True)
class Row:
    """A contiguous array: where it begins, its length, and the type of its elements.

    Behind a padded one there is room for a register, so that it needs no mask: what was written under a mask, the
    processor cannot read before it has reached the cache.
    """

    builder: Any
    data: Any
    size: Any
    element: Any
    padded: bool = False

    def at(self, index: Any) -> Any:
        """Return the address of an element."""
        return self.builder.gep(self.data, [index], source_etype=self.element)

    def load(self, lanes: Lanes, index: Any) -> Value:
        """Read from an element on."""
        return lanes.load(self.at(index), self.element, not self.padded)

    def store(self, lanes: Lanes, value: Value, index: Any) -> None:
        """Write from an element on."""
        lanes.store(value, self.at(index), self.element, not self.padded)


def row_of(context: Any, builder: Any, kind: Any, value: Any, i: Any = None) -> Row:
    """Return an array, or row i of a matrix."""
    array, element = context.make_array(kind)(context, builder, value), context.get_data_type(kind.dtype)
    size, data = builder.extract_value(array.shape, kind.ndim - 1), array.data
    if kind.ndim == 2:
        data = builder.gep(data, [builder.mul(i, size)], source_etype=element)
    return Row(builder, data, size, element)
