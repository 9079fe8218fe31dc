"""The same call gives the same bits wherever its arrays lie in memory, close together or far apart."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from numba_backend.support import normal

LOSSES = ("mean_squared_error", "mean_absolute_error", "sigmoid_cross_entropy", "soft_cross_entropy")


def lay_out(gap: int, dtype: str, *arrays: np.ndarray[Any, Any]) -> list[np.ndarray[Any, Any]]:
    """Copy arrays into one buffer, one behind the other with `gap` cache lines between them."""
    itemsize = np.dtype(dtype).itemsize
    sizes = [-(-array.size * itemsize // 64) * 64 + gap * 64 for array in arrays]
    memory = np.zeros(sum(sizes) + 64, np.uint8)
    place, placed = -memory.ctypes.data % 64, []
    for array, size in zip(arrays, sizes, strict=True):
        view = memory[place : place + array.size * itemsize].view(dtype).reshape(array.shape)
        view[...] = array
        placed.append(view)
        place += size
    return placed


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(7, 1), (2, 2), (7, 2), (3, 5), (33, 5)])
def test_sums_do_not_depend_on_where_arrays_lie(backend: Any, shape: tuple[int, int], dtype: str) -> None:
    outputs, targets = normal(*shape), np.abs(normal(*shape, seed=1)) % 1
    found: dict[str, set[bytes]] = {}
    for gap in (0, 1, 3, 50):
        o, t, slope = lay_out(gap, dtype, outputs, targets, outputs)
        for name in LOSSES:
            loss, options = np.zeros((), dtype), (0.1,) if name == "soft_cross_entropy" else ()
            getattr(backend, name)(o, t, None, loss, slope, *options)
            found.setdefault(name, set()).add(loss.tobytes() + slope.tobytes())
        for name in ("softmax", "log_softmax"):
            getattr(backend, name)(o, slope)
            found.setdefault(name, set()).add(slope.tobytes())
    assert {name: len(bits) for name, bits in found.items()} == dict.fromkeys(found, 1)
