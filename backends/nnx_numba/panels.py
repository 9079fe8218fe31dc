"""Kernels over panels of columns, emitted whole."""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from nnx_numba.columns import PANEL, WIDTH, Panel, matrix_of
from nnx_numba.internals import types
from nnx_numba.jit import intrinsic
from nnx_numba.lanes import WORD
from nnx_numba.vectors import loop, row_of, smaller

_WIDE = ir.DoubleType()


def _unpacked(context: Any, builder: Any, signature: Any, arguments: Any) -> list[Any]:
    """Return matrices, rows and numbers for the arguments of an intrinsic; None for None."""
    found: list[Any] = []
    for kind, value in zip(signature.args, arguments, strict=True):
        if kind == types.none:
            found.append(None)
        elif isinstance(kind, types.Array):
            found.append((matrix_of if kind.ndim == 2 else row_of)(context, builder, kind, value))
        else:
            found.append(value)
    return found


def for_panels(emit: Any) -> Any:
    """Make a function of panels first..last-1 and arrays: `emit(panel, *arguments)` for at most WIDTH columns.

    The first of the arrays is a matrix with these columns.
    """

    @intrinsic
    def run(_context: Any, first: Any, last: Any, given: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            kinds = signature.args[2]
            parts = [builder.extract_value(arguments[2], n) for n in range(len(kinds))]
            found = _unpacked(context, builder, types.void(*kinds), parts)
            x = found[0]
            begin, stop = (builder.mul(n, WORD(PANEL)) for n in arguments[:2])
            stop = smaller(builder, stop, x.columns)
            with loop(builder, begin, stop, WIDTH) as j:
                emit(Panel(builder, x.element, j, smaller(builder, WORD(WIDTH), builder.sub(stop, j))), *found)
            return context.get_dummy_value()

        return types.none(first, last, given), generate

    return run
