"""The parts of Numba below its documented surface that this package relies on, in one place.

All are typed Any: Numba's own annotations do not reach them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import llvmlite.binding
import numba
from numba.core import codegen, compiler, compiler_lock, config, registry, runtime
from numba.np import arrayobj

from nnx.interface import hold_across_forks

types: Any = numba.types
CodeLibrary: Any = codegen.CodeLibrary
populate_array: Any = arrayobj.populate_array

lock: Any = compiler_lock.global_compiler_lock
"""What a thread holds while it compiles, or loads what was compiled."""

hold_across_forks(lock)

_ALONE = {
    "nopython": True,
    "no_cpython_wrapper": True,
    "no_cfunc_wrapper": True,
    "forceinline": True,
    "_nrt": False,
}
_COMPILER: Any = compiler
_RUNTIME: Any = runtime
_TARGET: Any = registry.cpu_target


def alloca_once(builder: Any, kind: Any) -> Any:
    """Return memory on the stack for one value, uninitialised; Numba's own function would fill it with 0."""
    with builder.goto_entry_block():
        return builder.alloca(kind)


@cache
def register_bytes() -> int:
    """Return the size of this processor's vector registers."""
    features = llvmlite.binding.get_host_cpu_features()
    return 64 if features.get("avx512f") else 32 if features.get("avx") else 16


def default_threads() -> int:
    """Return how many threads the processors allow, or NUMBA_NUM_THREADS says."""
    settings: Any = config
    return int(settings.NUMBA_NUM_THREADS)


def generator() -> Any:
    """Return what generates code for this processor."""
    return _TARGET.target_context.codegen()


def processor() -> tuple[str, ...]:
    """Return what the code is generated for: platform, processor and its features."""
    found: tuple[str, ...] = generator().magic_tuple()
    return found


def target_machine() -> Any:
    """Return LLVM's model of this processor."""
    return generator()._tm


def engine() -> Any:
    """Return what holds the compiled code of this process."""
    return generator()._engine


def linkable(library: Any) -> Any:
    """Return the code of a library of Numba's own, in a form that may be linked more than once.

    None for its runtime: kernels neither allocate nor count references.
    """
    return None if library is _RUNTIME.rtsys.library else library._get_module_for_linking()


def lower(function: Callable[..., None], kinds: tuple[Any, ...], options: dict[str, Any], library: Any) -> Any:
    """Put LLVM's code of a function into a library; return the function's context and description.

    What calls the function inlines it. The library is not asked for machine code yet.
    """
    flags = _COMPILER.Flags()
    _TARGET.options.parse_as_flags(flags, {**options, **_ALONE})
    flags.no_compile = True
    contexts = _TARGET.typing_context, _TARGET.target_context
    made = _COMPILER.compile_extra(*contexts, function, kinds, types.none, flags, {}, library=library)
    return made.target_context, made.fndesc
