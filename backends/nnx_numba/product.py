"""Products of small matrices inside a compiled kernel, where to call BLAS would take longer than its work.

The result is made in tiles of a few rows by one line (64 bytes) of columns. The lines of b below each other are
packed first, then the tiles' sums stay in vector registers while they run down the pack. This is written in
LLVM's terms because Numba would keep the sums in memory, and because it then compiles in a tenth of the time.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from llvmlite import ir

from nnx_numba.internals import alloca_once, types
from nnx_numba.jit import intrinsic

ROWS = 4
"""Rows of a tile: its sums and a line of b fit into the sixteen registers of AVX2."""

LINE = 64
"""Bytes of a line, the width of a tile."""

_DEPTH = 256  # lines that are packed at once: 16 KiB, less than any first-level cache
_WORD = ir.IntType(64)
_POINTER = ir.PointerType()
_ROUNDED_ONCE = ("contract", "nsz")


@dataclass(frozen=True)
class _Array:
    """Where the elements of an array are, in LLVM values."""

    builder: Any
    address: Any
    shape: list[Any]
    strides: list[Any]

    def place(self, *indices: Any) -> Any:
        """Return the address of an element."""
        address = self.address
        for index, stride in zip(indices, self.strides, strict=True):
            address = self.builder.add(address, self.builder.mul(index, stride))
        return self.builder.inttoptr(address, _POINTER)


def _array(context: Any, builder: Any, kind: Any, value: Any) -> _Array:
    array = context.make_array(kind)(context, builder, value)
    shape, strides = (
        [builder.extract_value(part, n) for n in range(kind.ndim)] for part in (array.shape, array.strides)
    )
    return _Array(builder, builder.ptrtoint(array.data, _WORD), shape, strides)


@contextmanager
def _loop(builder: Any, stop: Any, step: int = 1) -> Iterator[Any]:
    """Emit `for index in range(0, stop, step)` around what the block emits."""
    counter = alloca_once(builder, _WORD)
    builder.store(_WORD(0), counter)
    test, body, end = (builder.append_basic_block(name) for name in ("test", "body", "end"))
    builder.branch(test)
    builder.position_at_end(test)
    index = builder.load(counter, typ=_WORD)
    builder.cbranch(builder.icmp_signed("<", index, stop), body, end)
    builder.position_at_end(body)
    yield index
    builder.store(builder.add(index, _WORD(step)), counter)
    builder.branch(test)
    builder.position_at_end(end)


def _smaller(builder: Any, a: Any, b: Any) -> Any:
    return builder.select(builder.icmp_signed("<", a, b), a, b)


class _Lines:
    """Instructions on lines: vectors of 64 bytes."""

    def __init__(self, builder: Any, element: Any) -> None:
        """Take the type of the elements, float32 or float64."""
        self.builder = builder
        self.size, name = {"float": (4, "f32"), "double": (8, "f64")}[str(element)]
        self.lanes = LINE // self.size
        self.type, self._words = ir.VectorType(element, self.lanes), ir.VectorType(_WORD, self.lanes)
        self._name, self._numbers = f"v{self.lanes}{name}", ir.Constant(self._words, list(range(self.lanes)))
        self._unaligned, self.zeros = ir.IntType(32)(self.size), ir.Constant(self.type, None)

    def filled(self, value: Any, kind: Any = None) -> Any:
        """Return a line, or another vector, with the value in every lane."""
        unknown = ir.Constant(kind or self.type, ir.Undefined)
        first = ir.Constant(ir.VectorType(ir.IntType(32), self.lanes), None)
        lane = self.builder.insert_element(unknown, value, ir.IntType(32)(0))
        return self.builder.shuffle_vector(lane, unknown, first)

    def mask(self, width: Any) -> Any:
        """Select the first `width` lanes."""
        return self.builder.icmp_signed("<", self._numbers, self.filled(width, self._words))

    def load(self, place: Any, mask: Any) -> Any:
        """Read the lanes under the mask; the others are 0."""
        name = f"llvm.masked.load.{self._name}.p0"
        return self._call(name, self.type, place, self._unaligned, mask, self.zeros)

    def store(self, line: Any, place: Any, mask: Any) -> None:
        """Write the lanes under the mask."""
        name = f"llvm.masked.store.{self._name}.p0"
        self._call(name, ir.VoidType(), line, place, self._unaligned, mask)

    def gather(self, place: Any, stride: Any, mask: Any) -> Any:
        """Read lanes that are a stride apart."""
        steps = self.builder.mul(self._numbers, self.filled(stride, self._words))
        first = self.filled(self.builder.ptrtoint(place, _WORD), self._words)
        places = self.builder.inttoptr(self.builder.add(first, steps), ir.VectorType(_POINTER, self.lanes))
        name = f"llvm.masked.gather.{self._name}.v{self.lanes}p0"
        return self._call(name, self.type, places, self._unaligned, mask, self.zeros)

    def _call(self, name: str, result: Any, *arguments: Any) -> Any:
        module = self.builder.module
        kind = ir.FunctionType(result, [argument.type for argument in arguments])
        function = module.globals.get(name) or ir.Function(module, kind, name)
        return self.builder.call(function, arguments)


class _Product:
    """Emits the loops of one product."""

    def __init__(
        self, builder: Any, lines: _Lines, a: _Array, b: _Array, out: _Array, columns_adjoin: bool
    ) -> None:
        """Take the operands; `columns_adjoin` tells whether the elements of a row of b do."""
        self._builder, self._lines = builder, lines
        self._a, self._b, self._out, self._columns_adjoin = a, b, out, columns_adjoin
        self._packed = alloca_once(builder, ir.ArrayType(lines.type, _DEPTH))
        self._packed.align = LINE
        self._sums = [alloca_once(builder, lines.type) for _ in range(ROWS)]

    def emit(self, bias: _Array | None) -> None:
        """Go through lines of columns, packs of lines, and tiles."""
        builder, lines = self._builder, self._lines
        (rows, depth), columns = self._a.shape, self._out.shape[1]
        with _loop(builder, columns, lines.lanes) as column:
            mask = lines.mask(builder.sub(columns, column))
            start_line = lines.zeros if bias is None else lines.load(bias.place(column), mask)
            once_at_least = builder.select(builder.icmp_signed("<", depth, _WORD(1)), _WORD(1), depth)
            with _loop(builder, once_at_least, _DEPTH) as begin:
                count = _smaller(builder, builder.sub(depth, begin), _WORD(_DEPTH))
                self._pack(begin, count, column, mask)
                with _loop(builder, rows, ROWS) as row:
                    self._tile(row, column, begin, count, start_line, mask)

    def _pack(self, begin: Any, count: Any, column: Any, mask: Any) -> None:
        """Copy lines of b one below the other."""
        builder, lines = self._builder, self._lines
        with _loop(builder, count) as k:
            place = self._b.place(builder.add(begin, k), column)
            line = (
                lines.load(place, mask) if self._columns_adjoin else lines.gather(place, self._b.strides[1], mask)
            )
            builder.store(line, self._packed_line(k), align=LINE)

    def _packed_line(self, k: Any) -> Any:
        return self._builder.gep(self._packed, [_WORD(0), k])

    def _tile(self, row: Any, column: Any, begin: Any, count: Any, start_line: Any, mask: Any) -> None:
        """Add products to the sums; a row beyond the last is the last once more, and stores the same again."""
        builder, lines = self._builder, self._lines
        last = builder.sub(self._a.shape[0], _WORD(1))
        rows = [_smaller(builder, builder.add(row, _WORD(n)), last) for n in range(ROWS)]
        places = [self._out.place(n, column) for n in rows]
        fresh = builder.icmp_signed("==", begin, _WORD(0))
        for place, total in zip(places, self._sums, strict=True):
            builder.store(builder.select(fresh, start_line, lines.load(place, mask)), total)
        with _loop(builder, count) as k:
            line = builder.load(self._packed_line(k), align=LINE, typ=lines.type)
            for n, total in zip(rows, self._sums, strict=True):
                factor = builder.load(self._a.place(n, builder.add(begin, k)), typ=lines.type.element)
                self._add(total, builder.fmul(lines.filled(factor), line, flags=_ROUNDED_ONCE))
        for place, total in zip(places, self._sums, strict=True):
            lines.store(builder.load(total, typ=lines.type), place, mask)

    def _add(self, total: Any, term: Any) -> None:
        before = self._builder.load(total, typ=self._lines.type)
        self._builder.store(self._builder.fadd(before, term, flags=_ROUNDED_ONCE), total)


@intrinsic
def multiply(_context: Any, a: Any, b: Any, bias: Any, out: Any) -> Any:
    """out = a @ b + bias; a and b contiguous or transposed, bias a row or None, out contiguous."""

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        left, right, result = (
            _array(context, builder, kind, arguments[n]) for n, kind in ((0, a), (1, b), (3, out))
        )
        offset = None if bias == types.none else _array(context, builder, bias, arguments[2])
        lines = _Lines(builder, context.get_data_type(out.dtype))
        _Product(builder, lines, left, right, result, b.layout == "C").emit(offset)
        return context.get_dummy_value()

    return types.none(a, b, bias, out), generate
