"""The parts of Numba below its documented surface that this package relies on, in one place.

All are typed Any: Numba's own annotations do not reach them.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import llvmlite.binding
import numba
from numba.core import caching, ccallback, compiler, compiler_lock, config, serialize
from numba.np import arrayobj

types: Any = numba.types
NullCache: Any = caching.NullCache
CFunc: Any = ccallback.CFunc
compiling: Any = compiler_lock.global_compiler_lock
dumps: Any = serialize.dumps
rebuild_result: Any = compiler.CompileResult._rebuild
populate_array: Any = arrayobj.populate_array


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
