"""Windows as kernels take them."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnx.interface import Array, Window


def geometry(x: Array, y: Array, window: Window) -> tuple[Any, ...]:
    """Return the numbers of a window over images x, with places y, in the order of windows.cuh."""
    extents = x.shape[1:3], y.shape[1:3], window.size, window.stride, window.before, window.dilation
    return np.int64(x.shape[0]), *(np.int32(number) for pair in extents for number in pair)
