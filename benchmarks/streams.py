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


PATTERNS = {"copy": (2, 2), "triad": (3, 3), "scale": (1, 2), "update": (2, 3)}
"""Pattern -> arrays it touches, floats it moves per element: a = b; a = b + 3 c; a = a + 3 a; a = a + 3 b."""


def _mover(pattern: str, streaming: bool) -> Any:
    """Make the intrinsic that does one vector of a pattern, with ordinary or streaming stores."""
    sources = {"copy": [1], "triad": [1, 2], "scale": [0, 0], "update": [0, 1]}[pattern]

    @intrinsic
    def move(_context: Any, a: Any, b: Any, c: Any, index: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            place = arguments[-1]
            where = [_pointer(context, builder, signature.args[i], arguments[i], place) for i in range(3)]
            value, *more = [builder.load(where[source], align=64) for source in sources]
            for other in more:
                value = _fma(builder, other, _splat(3.0), value)
            store = builder.store(value, where[0], align=64)
            if streaming:
                mark = builder.module.add_metadata([ir.Constant(ir.IntType(32), 1)])
                store.set_metadata("nontemporal", mark)
            return context.get_dummy_value()

        return types.void(a, b, c, index), generate

    return move


@cache
def mover(pattern: str, streaming: bool) -> Callable[[Any, Any, Any, int], None]:
    """Return a loop (a, b, c, times) over float32 arrays whose sizes are multiples of 64, aligned to 64 bytes."""
    move = _mover(pattern, streaming)

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
    chains: Any = _chains

    @numba.njit(nogil=True)
    def links(times: int) -> Any:
        return chains(times)

    made: Callable[[int], float] = links
    return made
