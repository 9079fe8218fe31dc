"""The padding of windows, found without the code that is tested."""

from __future__ import annotations

import math
from typing import Any

Pair = tuple[int, int]


def sides(layer: Any, extents: tuple[int, ...], *options: Any) -> list[Pair]:
    """Return (before, after) of every axis of a layer; options: size, stride and dilation of its windows."""
    if layer.padding == "same":
        expanded = [option if isinstance(option, tuple) else (option,) * layer.axes for option in options]
        return [same_by_search(*axis) for axis in zip(extents, *expanded, strict=True)]
    if isinstance(layer.padding, tuple):
        return list(layer.padding)
    return [(0 if layer.padding == "valid" else layer.padding,) * 2] * layer.axes


def same_by_search(extent: int, size: int, stride: int, dilation: int) -> Pair:
    """Find the least padding that gives ceil(extent / stride) places; the larger half goes after."""
    total = 0
    while 1 + (extent + total - (size - 1) * dilation - 1) // stride < math.ceil(extent / stride):
        total += 1
    return total // 2, total - total // 2


def flat(pairs: list[Pair]) -> list[int]:
    """Return them as PyTorch's `pad` takes them: the last axis first."""
    return [pixels for pair in reversed(pairs) for pixels in pair]
