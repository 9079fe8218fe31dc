"""The parts of Numba below its documented surface that this package relies on, in one place.

All are typed Any: Numba's own annotations do not reach them.
"""

from __future__ import annotations

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
launch_threads: Any = parallel._launch_threads
threading_layer: Any = parallel.threading_layer
