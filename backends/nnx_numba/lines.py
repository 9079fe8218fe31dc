"""Vectors in LLVM's terms: what the products are emitted with.

Numba would keep a tile's sums in memory; here they are vector values, which LLVM keeps in registers. The code also
compiles in a tenth of the time.
"""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from llvmlite import ir

from nnx_numba.internals import alloca_once, register_bytes
from nnx_numba.lanes import WORD, call, fill

POINTER = ir.PointerType()
ROUNDED_ONCE = ("contract", "nsz")
"""A product and a sum may be rounded together, nothing else is allowed."""

_INDEX = ir.IntType(32)


REGISTER_BYTES = register_bytes()
"""Bytes of a vector register of this processor."""

REGISTERS = 16 if REGISTER_BYTES < 64 and platform.machine() in ("x86_64", "AMD64") else 32
"""How many there are: 32 with AVX-512 and on ARM, 16 on other processors of the x86 family."""


def moved(builder: Any, address: Any, *steps: tuple[Any, Any]) -> Any:
    """Return an address moved by `count * stride` for each step."""
    for count, stride in steps:
        address = builder.add(address, builder.mul(count, stride))
    return address


@dataclass(frozen=True)
class Strided:
    """Where elements are: an address, and the bytes from one row, and one column, to the next."""

    address: Any
    row: Any
    column: Any

    def at(self, builder: Any, row: Any, column: Any) -> Any:
        """Return the address of an element."""
        return moved(builder, self.address, (row, self.row), (column, self.column))

    @property
    def transposed(self) -> Strided:
        """The same elements with columns for rows."""
        return Strided(self.address, self.column, self.row)


def words(builder: Any, value: Any, count: int) -> list[Any]:
    """Take a tuple apart."""
    return [builder.extract_value(value, n) for n in range(count)]


class Variable:
    """A value that changes as the code runs."""

    def __init__(self, builder: Any, kind: Any) -> None:
        """Begin undefined."""
        self._builder, self._kind, self._place = builder, kind, alloca_once(builder, kind)

    def get(self) -> Any:
        """Read it."""
        return self._builder.load(self._place, typ=self._kind)

    def set(self, value: Any) -> None:
        """Change it."""
        self._builder.store(value, self._place)


class Lines:
    """Instructions on lines: vectors as wide as a register, or narrower ones."""

    def __init__(self, builder: Any, element: Any, wide: int = REGISTER_BYTES) -> None:
        """Take the type of the elements, float32 or float64, and the bytes of a line."""
        self.builder, self.element = builder, element
        self.size, name = {"float": (4, "f32"), "double": (8, "f64")}[str(element)]
        self.lanes = wide // self.size
        self.type, self._words = ir.VectorType(element, self.lanes), ir.VectorType(WORD, self.lanes)
        self._name, self._numbers = f"v{self.lanes}{name}", ir.Constant(self._words, list(range(self.lanes)))
        self._unaligned, self.zeros = _INDEX(self.size), ir.Constant(self.type, None)
        self.nothing = ir.Constant(element, 0.0)

    def mask(self, width: Any) -> Any:
        """Select the first `width` lanes."""
        return self.builder.icmp_signed("<", self._numbers, fill(self.builder, self._words, width))

    def mask_if(self, condition: Any, mask: Any) -> Any:
        """Select what the mask selects, or nothing."""
        return self.builder.select(condition, mask, ir.Constant(mask.type, None))

    def load(self, address: Any, mask: Any = None) -> Any:
        """Read a line, or its lanes under the mask; the others are 0."""
        place = self.builder.inttoptr(address, POINTER)
        if mask is None:
            return self.builder.load(place, typ=self.type, align=self.size)
        name = f"llvm.masked.load.{self._name}.p0"
        return call(self.builder, name, self.type, place, self._unaligned, mask, self.zeros)

    def store(self, line: Any, address: Any, mask: Any = None) -> None:
        """Write a line, or its lanes under the mask."""
        place = self.builder.inttoptr(address, POINTER)
        if mask is None:
            self.builder.store(line, place, align=self.size)
        else:
            name = f"llvm.masked.store.{self._name}.p0"
            call(self.builder, name, ir.VoidType(), line, place, self._unaligned, mask)

    def scalar(self, address: Any) -> Any:
        """Read one element into every lane."""
        return fill(self.builder, self.type, self.get(address))

    def get(self, address: Any) -> Any:
        """Read one element."""
        return self.builder.load(self.builder.inttoptr(address, POINTER), typ=self.element, align=self.size)

    def put(self, value: Any, address: Any) -> None:
        """Write one element."""
        self.builder.store(value, self.builder.inttoptr(address, POINTER), align=self.size)

    def optional(self, array: Any) -> Any:
        """Return the address of an array's elements, or 0 if it has none."""
        size, address = self.builder.extract_value(array.shape, 0), self.builder.ptrtoint(array.data, WORD)
        return self.builder.select(self.builder.icmp_signed("==", size, WORD(0)), WORD(0), address)

    def added(self, total: Any, a: Any, b: Any) -> Any:
        """Return total + a b."""
        product = self.builder.fmul(a, b, flags=ROUNDED_ONCE)
        return self.builder.fadd(total, product, flags=ROUNDED_ONCE)

    def totals(self, lines: Sequence[Any]) -> Any:
        """Return the sum of the lanes of line n in lane n, for as many lines as there are lanes, added in pairs."""
        found, step = list(lines), 1
        while step < self.lanes:
            pairs = zip(found[::2], found[1::2], strict=True)
            found = [self.builder.fadd(*self._exchanged(low, high, step)) for low, high in pairs]
            step *= 2
        return found[0]

    def transposed(self, lines: Sequence[Any]) -> list[Any]:
        """Turn as many lines as there are lanes: lane n of line m goes to lane m of line n."""
        found = list(lines)
        step = 1
        while step < self.lanes:
            for low in (n for n in range(self.lanes) if not n & step):
                found[low], found[low + step] = self._exchanged(found[low], found[low + step], step)
            step *= 2
        return found

    def _exchanged(self, low: Any, high: Any, step: int) -> tuple[Any, Any]:
        """Swap the upper lanes of pairs of groups of one line with the lower ones of another."""
        lanes = range(self.lanes)
        to_low = [self.lanes + n - step if n & step else n for n in lanes]
        to_high = [self.lanes + n if n & step else n + step for n in lanes]
        return self._shuffled(low, high, to_low), self._shuffled(low, high, to_high)

    def _shuffled(self, a: Any, b: Any, order: list[int]) -> Any:
        return self.builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(_INDEX, self.lanes), order))

    def fetch(self, address: Any) -> None:
        """Ask for a cache line ahead of its use; an address beyond the data is harmless."""
        self._fetch(address, 3)

    def fetch_to_second(self, address: Any) -> None:
        """Ask for a cache line long before its use, when the first-level cache has no room for it yet."""
        self._fetch(address, 2)

    def _fetch(self, address: Any, locality: int) -> None:
        place = self.builder.inttoptr(address, POINTER)
        call(self.builder, "llvm.prefetch.p0", ir.VoidType(), place, _INDEX(0), _INDEX(locality), _INDEX(1))

    def variable(self) -> Variable:
        """Return a line that may change, which LLVM keeps in a register."""
        return Variable(self.builder, self.type)

    def memory(self, count: int) -> Any:
        """Return the address of uninitialised memory for `count` lines on the stack."""
        place = alloca_once(self.builder, ir.ArrayType(self.type, count))
        place.align = 64
        return self.builder.ptrtoint(place, WORD)
