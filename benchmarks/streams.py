"""Loops that do nothing but move memory or multiply: what the limits of a processor are measured with.

Explicit vectors, so that neither the loop's shape nor the compiler's choice of width decides what is measured.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numba
from llvmlite import binding, ir
from numba.core import types
from numba.extending import intrinsic

LANES = 16 if binding.get_host_cpu_features().get("avx512f") else 8
CHAINS = 10
"""Independent sums: more than latency times throughput of any current core's multiply-adds."""

_VECTOR = ir.VectorType(ir.FloatType(), LANES)
_WORD = ir.IntType(64)


def _pointer(context: Any, builder: Any, kind: Any, array: Any, index: Any) -> Any:
    data = context.make_array(kind)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [index]), _VECTOR.as_pointer())


def _splat(value: float) -> Any:
    return ir.Constant(_VECTOR, [value] * LANES)


def _fma(builder: Any, *operands: Any) -> Any:
    kind = ir.FunctionType(_VECTOR, [_VECTOR] * 3)
    name = f"llvm.fma.v{LANES}f32"
    function = builder.module.globals.get(name) or ir.Function(builder.module, kind, name)
    return builder.call(function, operands)


def _mover(streaming: bool, triad: bool) -> Any:
    """Make the intrinsic that does one vector of a = b, or of a = b + 3 c, with ordinary or streaming stores."""

    @intrinsic
    def move(_context: Any, a: Any, b: Any, c: Any, index: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            *arrays, place = arguments
            where = [
                _pointer(context, builder, kind, array, place)
                for kind, array in zip(signature.args, arrays, strict=False)
            ]
            value = builder.load(where[1], align=64)
            if triad:
                value = _fma(builder, builder.load(where[2], align=64), _splat(3.0), value)
            store = builder.store(value, where[0], align=64)
            if streaming:
                mark = builder.module.add_metadata([ir.Constant(ir.IntType(32), 1)])
                store.set_metadata("nontemporal", mark)
            return context.get_dummy_value()

        return types.void(a, b, c, index), generate

    return move


@cache
def mover(streaming: bool, triad: bool) -> Callable[[Any, Any, Any, int], None]:
    """Return a loop (a, b, c, times) over float32 arrays whose sizes are multiples of 64, aligned to 64 bytes."""
    move = _mover(streaming, triad)

    @numba.njit(nogil=True, boundscheck=False)
    def loop(a: Any, b: Any, c: Any, times: int) -> None:
        for _ in range(times):
            for start in range(0, a.size, 4 * LANES):
                for part in range(4):
                    move(a, b, c, start + part * LANES)

    made: Callable[[Any, Any, Any, int], None] = loop
    return made


@intrinsic
def _chains(_context: Any, times: Any) -> Any:
    """Run `CHAINS` independent chains of multiply-adds, `times` links each; return something of all of them."""

    def generate(_target: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        before = builder.block
        body, after = builder.append_basic_block("links"), builder.append_basic_block("done")
        builder.branch(body)
        builder.position_at_end(body)
        count = builder.phi(_WORD)
        count.add_incoming(ir.Constant(_WORD, 0), before)
        sums = [builder.phi(_VECTOR) for _ in range(CHAINS)]
        grown = [_fma(builder, value, _splat(0.999), _splat(0.001)) for value in sums]
        for number, (value, more) in enumerate(zip(sums, grown, strict=True)):
            value.add_incoming(_splat(float(number)), before)
            value.add_incoming(more, body)
        following = builder.add(count, ir.Constant(_WORD, 1))
        count.add_incoming(following, body)
        builder.cbranch(builder.icmp_signed("<", following, arguments[0]), body, after)
        builder.position_at_end(after)
        total = grown[0]
        for value in grown[1:]:
            total = builder.fadd(total, value)
        return builder.extract_element(total, ir.Constant(ir.IntType(32), 0))

    return types.float32(times), generate


@cache
def multiplier() -> Callable[[int], float]:
    """Return a function that does `times` * `CHAINS` vector multiply-adds in registers."""

    @numba.njit(nogil=True)
    def links(times: int) -> float:
        return _chains(times)

    made: Callable[[int], float] = links
    return made
