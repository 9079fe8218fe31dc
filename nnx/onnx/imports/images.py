"""Convolution and pooling."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nnx.errors import FileFormatError
from nnx.layers import (
    AveragePool1D,
    AveragePool2D,
    Conv1D,
    Conv2D,
    GlobalAveragePool1D,
    GlobalAveragePool2D,
    Layer,
    MaxPool1D,
    MaxPool2D,
)
from nnx.onnx.axes import Axes, axis_of, size
from nnx.onnx.imports.registry import importer
from nnx.onnx.reading import Reading
from nnx.onnx.source import Node
from nnx.onnx.steps import Step
from nnx.onnx.trunk import Value

Sides = tuple[tuple[int, int], ...]

_PADDING = ("NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID")


@importer("Conv")
def convolution(reading: Reading, node: Node) -> Value:
    """Read a convolution: weights (O, C / G, K, L) become (K, L, C / G, O)."""
    x, kernel = reading.value(node), reading.weight(node, 1)
    axes = _window_axes(node, x)
    if kernel.ndim != axes + 2 or not kernel.size:
        raise FileFormatError(f"{node}: weights of shape {kernel.shape} do not fit its input of {axes + 2} axes")
    sizes = tuple(kernel.shape[2:])
    if tuple(node.whole_numbers("kernel_shape") or sizes) != sizes:
        raise FileFormatError(f"{node}: kernel_shape is not that of its weights, {sizes}")
    dilation = _extents(node, "dilations", axes)
    groups = node.option("group", 1)
    if groups < 1 or size(x.axes[1]) != kernel.shape[1] * groups:
        raise FileFormatError(f"{node}: {size(x.axes[1])} channels do not fit weights of shape {kernel.shape}")
    strides = _extents(node, "strides", axes)
    reach = tuple((taps - 1) * gap + 1 for taps, gap in zip(sizes, dilation, strict=True))
    padding = _padding(node, x, reach, strides)
    options = {
        "filters": kernel.shape[0],
        "kernel_size": _either(sizes),
        "strides": _either(strides),
        "dilation_rate": _either(dilation),
        "padding": _shown(padding),
        "groups": groups,
        "bias": reading.has(node, 2),
    }
    weights = {"weight": np.moveaxis(kernel, (0, 1), (-1, -2))}
    if reading.has(node, 2):
        weights["bias"] = reading.weight(node, 2, 1)
    step = Step((Conv1D, Conv2D)[axes - 1], options, weights)
    return _put(reading, x, step, (padding, reach, strides), kernel.shape[0])


@importer("MaxPool", "AveragePool")
def pool(reading: Reading, node: Node) -> Value:
    """Read the largest, or the mean, of every window."""
    x = reading.value(node)
    axes = _window_axes(node, x)
    if reading.wanted(node, 1):
        node.refuse("nnx gives no places of the largest")
    if set(_extents(node, "dilations", axes)) != {1}:
        node.refuse("nnx has no dilation of pooling")
    sizes, strides = _extents(node, "kernel_shape", axes), _extents(node, "strides", axes)
    padding = _padding(node, x, sizes, strides)
    if node.operator == "AveragePool" and node.option("count_include_pad", 0) and any(map(any, padding)):
        node.refuse("nnx does not count padding as pixels (count_include_pad)")
    if any(max(sides) >= taps for sides, taps in zip(padding, sizes, strict=True)):
        node.refuse(f"nnx has no windows that lie in the padding altogether, got pads of {padding}")
    kinds: tuple[type[Layer], ...] = (MaxPool1D, MaxPool2D)
    if node.operator == "AveragePool":
        kinds = (AveragePool1D, AveragePool2D)
    options = {"pool_size": _either(sizes), "padding": _shown(padding)}
    if strides != sizes:
        options["strides"] = _either(strides)
    return _put(reading, x, Step(kinds[axes - 1], options), (padding, sizes, strides), None)


@importer("GlobalAveragePool")
def global_average_pool(reading: Reading, node: Node) -> Value:
    """Read the mean over all places, whose axes the file keeps with one element."""
    x = reading.value(node)
    return _mean_over_places(reading, node, x, [*x.axes[:2], *[()] * (len(x.axes) - 2)])


@importer("ReduceMean")
def reduce_mean(reading: Reading, node: Node) -> Value:
    """Read the mean over all axes but the batch and one of channels."""
    x, rank = reading.value(node), len(reading.value(node).axes)
    axes = {axis % rank for axis in reading.whole_numbers(node, 1, "axes") or ()}
    if rank < 3 or len(axes) != rank - 2 or 0 in axes:
        node.refuse("nnx has the mean over all places of an image or steps of a sequence, and no others")
    channels = next(axis for axis in range(1, rank) if axis not in axes)
    kept = [() if axis in axes else group for axis, group in enumerate(x.axes)]
    made = kept if node.option("keepdims", 1) else [x.axes[0], x.axes[channels]]
    order = [0, channels, *sorted(axes)]
    return _mean_over_places(reading, node, x.seen_as([x.axes[axis] for axis in order]), made)


def _mean_over_places(reading: Reading, node: Node, x: Value, made: Axes) -> Value:
    axes = _window_axes(node, x)
    kind = (GlobalAveragePool1D, GlobalAveragePool2D)[axes - 1]
    wanted = [x.axes[0], *x.axes[2:], x.axes[1]]
    return reading.trunk.apply(x, Step(kind), wanted, [x.axes[0], x.axes[1]], made)


def _window_axes(node: Node, x: Value) -> int:
    axes = len(x.axes) - 2
    if axes not in (1, 2):
        node.refuse(f"nnx has windows over one or two axes, got an input of {len(x.axes)} axes")
    return axes


def _extents(node: Node, name: str, axes: int) -> tuple[int, ...]:
    """Return whole numbers, one for each axis; 1 where the file gives none, except for the size."""
    given = node.whole_numbers(name)
    if given is None and name != "kernel_shape":
        given = [1] * axes
    if given is None or len(given) != axes or min(given) < 1:
        raise FileFormatError(f"{node}: {name} should be {axes} whole numbers of at least 1, got {given}")
    return tuple(given)


def _either(extents: tuple[int, ...]) -> Any:
    """Return one number where it holds for all axes."""
    return extents[0] if len(set(extents)) == 1 else extents


def _shown(padding: Sides) -> Any:
    """Return padding as one would give it."""
    if not any(map(any, padding)):
        return "valid"
    return padding[0][0] if len({side for sides in padding for side in sides}) == 1 else padding


def _padding(node: Node, x: Value, reach: tuple[int, ...], strides: tuple[int, ...]) -> Sides:
    """Return the padding before and after each axis."""
    axes, mode = len(reach), node.option("auto_pad", "NOTSET")
    if mode not in _PADDING:
        raise FileFormatError(f"{node}: auto_pad should be one of {', '.join(_PADDING)}")
    extents = [size(group) for group in x.axes[2:]]
    if mode.startswith("SAME"):
        return tuple(
            _same(extent, taps, step, mode == "SAME_LOWER")
            for extent, taps, step in zip(extents, reach, strides, strict=True)
        )
    given = (node.whole_numbers("pads") if mode == "NOTSET" else None) or [0] * (2 * axes)
    if len(given) != 2 * axes or min(given) < 0:
        node.refuse(f"pads must be {2 * axes} whole numbers that are not negative, got {given}")
    sides = tuple(zip(given[:axes], given[axes:], strict=True))
    if node.option("ceil_mode", 0):
        return tuple(_rounded_up(*item) for item in zip(extents, sides, reach, strides, strict=True))
    return sides


def _same(extent: int, reach: int, stride: int, lower: bool) -> tuple[int, int]:
    total = max((math.ceil(extent / stride) - 1) * stride + reach - extent, 0)
    less, more = total // 2, total - total // 2
    return (more, less) if lower else (less, more)


def _rounded_up(extent: int, sides: tuple[int, int], reach: int, stride: int) -> tuple[int, int]:
    """Return padding for a last window that the image does not fill (ceil_mode), if it begins in the image."""
    before, after = sides
    places = -(-(extent + before + after - reach) // stride) + 1
    if (places - 1) * stride >= extent + before:
        places -= 1
    return before, max(after, (places - 1) * stride + reach - extent - before)


def _put(
    reading: Reading,
    x: Value,
    step: Step,
    window: tuple[Sides, tuple[int, ...], tuple[int, ...]],
    filters: int | None,
) -> Value:
    """Put a layer behind a value, of windows (padding, reach, strides); so many filters, or channels as before."""
    places = [
        (size(group) + sum(sides) - taps) // stride + 1
        for group, sides, taps, stride in zip(x.axes[2:], *window, strict=True)
    ]
    if min(places) < 1:
        raise FileFormatError("windows are larger than the image")
    batch, channels = x.axes[0], x.axes[1] if filters is None else axis_of(filters)
    extents = [axis_of(count) for count in places]
    wanted = [batch, *x.axes[2:], x.axes[1]]
    return reading.trunk.apply(x, step, wanted, [batch, *extents, channels], [batch, channels, *extents])
