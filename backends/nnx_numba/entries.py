"""C entries: a function over arrays, and what calls it with a row of words, compiled as one and kept on disk."""

from __future__ import annotations

import hashlib
import inspect
import logging
import time
from collections.abc import Callable, Iterator
from typing import Any

from llvmlite import ir

from nnx_numba import cache
from nnx_numba.instructions import wrapped
from nnx_numba.internals import lock, lower, types
from nnx_numba.jit import FLAGS
from nnx_numba.lanes import WORD
from nnx_numba.modules import Module, load

_log = logging.getLogger("nnx.backends.numba")

_ENTRY = ir.FunctionType(ir.VoidType(), [WORD.as_pointer(), WORD, WORD, WORD])


class Entry:
    """`void(int64 *row, int64 first, int64 last, void *memory)` for a function and the types of its arguments.

    Attributes:
        address: what native code calls.
        cached: whether the code was there already, on disk.
    """

    def __init__(self, name: str, function: Callable[..., None], kinds: tuple[Any, ...]) -> None:
        """Take a function of (first, last, *arguments), or (first, last, memory, *arguments), and their types.

        The name is the function's alone within this package.
        """
        name = f"{name}-{'-'.join(map(str, kinds))}"
        began = time.perf_counter()
        symbol = f"nnx_{hashlib.sha256(name.encode()).hexdigest()}"
        with lock:
            code = cache.read(name)
            self.cached = code is not None
            if code is None:
                code = _compiled(symbol, function, kinds)
                cache.write(name, code)
            self.address = load(code, symbol)
        whence = "found on disk" if self.cached else "compiled"
        _log.debug("kernel %s %s in %.3f s", name, whence, time.perf_counter() - began)


def _compiled(symbol: str, function: Callable[..., None], kinds: tuple[Any, ...]) -> bytes:
    module = Module(symbol)
    leading = 3 if "memory" in inspect.signature(function).parameters else 2
    context, found = lower(function, (*[types.int64] * leading, *kinds), FLAGS, module)
    part = context.create_module("entry")
    entry = ir.Function(part, _ENTRY, symbol)
    builder = ir.IRBuilder(entry.append_basic_block())
    kind = context.call_conv.get_function_type(found.restype, found.argtypes)
    row, *numbers = entry.args
    values = [*numbers[:leading], *_arguments(context, builder, kinds, row)]
    callee = ir.Function(part, kind, found.llvm_func_name)
    context.call_conv.call_function(builder, callee, found.restype, found.argtypes, values)
    builder.ret_void()
    module.add_ir_module(part)
    return module.object_file()


def _arguments(context: Any, builder: Any, kinds: tuple[Any, ...], row: Any) -> Iterator[Any]:
    """Read what `pack_row` wrote."""
    place = 0
    for kind in kinds:
        count = _words(kind)
        places = (builder.gep(row, [WORD(place + n)]) for n in range(count))
        yield _value(context, builder, kind, [builder.load(place) for place in places])
        place += count


def _words(kind: Any) -> int:
    if isinstance(kind, types.Array):
        return 1 + int(kind.ndim)
    return 0 if kind == types.none else 1


def _value(context: Any, builder: Any, kind: Any, words: list[Any]) -> Any:
    if isinstance(kind, types.Array):
        data = builder.inttoptr(words[0], context.get_data_type(kind.dtype).as_pointer())
        return wrapped(context, builder, kind, data, words[1:])
    if kind == types.none:
        return context.get_dummy_value()
    if isinstance(kind, types.Float):
        return builder.bitcast(words[0], ir.DoubleType())
    return builder.trunc(words[0], ir.IntType(1)) if kind == types.boolean else words[0]
