"""The parts of Numba below its documented surface that this package relies on, in one place.

All are typed Any: Numba's own annotations do not reach them.
"""

from __future__ import annotations

import os
from typing import Any

import numba
from numba.core import caching, ccallback, cgutils, compiler, serialize
from numba.np import arrayobj
from numba.np.ufunc import parallel

types: Any = numba.types
NullCache: Any = caching.NullCache
CFunc: Any = ccallback.CFunc
dumps: Any = serialize.dumps
rebuild_result: Any = compiler.CompileResult._rebuild
alloca_once: Any = cgutils.alloca_once
populate_array: Any = arrayobj.populate_array
threading_layer: Any = parallel.threading_layer


_launch: Any = parallel._launch_threads
_WAIT_POLICY = "OMP_WAIT_POLICY"


def launch_threads() -> None:
    """Start Numba's threads, and have those of OpenMP sleep while they wait, unless the user decided otherwise.

    By default they spin for milliseconds and hold the very cores that the next product's BLAS threads need: a
    step that alternates between the two took several times longer. OpenMP reads the variable once, when it is
    loaded, so it is set for that moment only.
    """
    if _WAIT_POLICY in os.environ:
        _launch()
        return
    os.environ[_WAIT_POLICY] = "passive"
    try:
        _launch()
    finally:
        del os.environ[_WAIT_POLICY]
