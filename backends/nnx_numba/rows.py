"""Copying rows, and finding the largest element of one."""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from nnx_numba.internals import alloca_once, types
from nnx_numba.jit import intrinsic
from nnx_numba.lanes import WORD, Value, call, fill
from nnx_numba.sweeps import largest_of
from nnx_numba.vectors import LARGEST, LINE, Accumulator, Lanes, lanes_of, loop, row_of

_BYTE, _INT = ir.IntType(8), ir.IntType(32)


@intrinsic
def copy_row(_context: Any, source: Any, origin: Any, ahead: Any, out: Any, i: Any) -> Any:
    """Copy row `origin` of a matrix to row i of another, and fetch row `ahead` into the cache meanwhile."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        matrix, place, following, result, index = arguments
        row, fetched, copy = (
            row_of(context, builder, kind, value, which)
            for kind, value, which in (
                (signature.args[0], matrix, place),
                (signature.args[0], matrix, following),
                (signature.args[3], result, index),
            )
        )
        size = builder.mul(row.size, WORD(signature.args[0].dtype.bitwidth // 8))
        data = [builder.bitcast(part.data, _BYTE.as_pointer()) for part in (row, fetched, copy)]
        _copy_bytes(builder, data, size)
        return context.get_dummy_value()

    return types.none(source, origin, ahead, out, i), generate


@intrinsic
def copy_columns(_context: Any, i: Any, source: Any, start: Any, out: Any, begin: Any, count: Any) -> Any:
    """Copy `count` bytes of row i of a matrix of bytes, from one column on, to a column of row i of another."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        index, matrix, column, result, target, size = arguments
        origin = row_of(context, builder, signature.args[1], matrix, index).at(column)
        place = row_of(context, builder, signature.args[3], result, index).at(target)
        _copy_bytes(builder, [origin, origin, place], size)
        return context.get_dummy_value()

    return types.none(i, source, start, out, begin, count), generate


def _copy_bytes(builder: Any, data: list[Any], size: Any) -> None:
    line, void = ir.VectorType(_BYTE, LINE), ir.VoidType()
    numbers = ir.Constant(line, list(range(LINE)))
    with loop(builder, WORD(0), size, LINE) as start:
        origin, ahead, place = (builder.gep(part, [start]) for part in data)
        call(builder, "llvm.prefetch.p0", void, ahead, _INT(0), _INT(3), _INT(1))
        left = builder.sub(size, start)
        whole = builder.icmp_signed(">=", left, WORD(LINE))
        with builder.if_else(whole) as (then, otherwise):
            with then:
                value = builder.load(builder.bitcast(origin, line.as_pointer()), align=1, typ=line)
                builder.store(value, builder.bitcast(place, line.as_pointer()), align=1)
            with otherwise:
                mask = builder.icmp_unsigned("<", numbers, fill(builder, line, builder.trunc(left, _BYTE)))
                name = f"llvm.masked.{{}}.v{LINE}i8.p0"
                value = call(builder, name.format("load"), line, origin, _INT(1), mask, ir.Constant(line, None))
                call(builder, name.format("store"), void, value, place, _INT(1), mask)


@intrinsic
def find_largest(_context: Any, x: Any, i: Any) -> Any:
    """The place of the largest element of row i: the first of equals, and the first NaN where there is one."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        row = row_of(context, builder, signature.args[0], *arguments)
        found, count = alloca_once(builder, WORD), lanes_of(row.element)
        builder.store(WORD(-1), found)
        short = builder.icmp_signed("<=", row.size, WORD(count))
        with builder.if_else(short) as (then, otherwise):
            with then:
                lanes = Lanes(builder, count, row.size)
                value = lanes.load(row.data, row.element)
                highest = Accumulator(builder, LARGEST, row.element, count)
                highest.add(value, lanes)
                _keep_first(lanes, value, highest.result(), WORD(0), found)
            with otherwise:
                top = largest_of(builder, row)
                with loop(builder, WORD(0), row.size, count) as start:
                    lanes = Lanes(builder, count, builder.sub(row.size, start))
                    _keep_first(lanes, lanes.load(row.at(start), row.element), top, start, found)
        return builder.load(found, typ=WORD)

    return types.int64(x, i), generate


def _keep_first(lanes: Lanes, value: Value, top: Any, start: Any, found: Any) -> None:
    """Note the place of the first lane that holds the top or a NaN, unless one was found before."""
    builder, count = lanes.builder, lanes.count
    equal = builder.fcmp_ordered("==", value.llvm, lanes.filled(top).llvm)
    hit = builder.and_(builder.or_(equal, builder.fcmp_unordered("uno", value.llvm, value.llvm)), lanes.mask)
    bits = builder.bitcast(hit, ir.IntType(count))
    first = call(builder, f"llvm.cttz.i{count}", bits.type, bits, ir.IntType(1)(0))
    before = builder.load(found, typ=WORD)
    here = builder.and_(builder.icmp_unsigned("!=", bits, bits.type(0)), builder.icmp_signed("<", before, WORD(0)))
    builder.store(builder.select(here, builder.add(start, builder.zext(first, WORD)), before), found)
