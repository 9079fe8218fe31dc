"""Nodes that only name the axes anew; layers follow from them where a later one asks for other axes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nnx.errors import FileFormatError
from nnx.onnx.axes import Axes, Group, whole
from nnx.onnx.imports.extents import extents_of
from nnx.onnx.imports.registry import importer
from nnx.onnx.reading import Extents, Found, Reading
from nnx.onnx.source import Constant, Node
from nnx.onnx.trunk import Value


@importer("Transpose")
def transpose(reading: Reading, node: Node) -> Found:
    """Read another order of the axes."""
    x = reading.any(node, 0)
    rank = _rank(node, x)
    order = node.whole_numbers("perm") or list(range(rank))[::-1]
    if sorted(order) != list(range(rank)):
        raise FileFormatError(f"{node}: perm should name {rank} axes, got {order}")
    if isinstance(x, np.ndarray):
        return x.transpose(order)
    return reading.value(node).seen_as([reading.value(node).axes[axis] for axis in order])


@importer("Flatten")
def flatten(reading: Reading, node: Node) -> Found:
    """Read two axes made of all."""
    x = reading.value(node)
    x.layout.settle()
    axis, rank = node.option("axis", 1), len(x.axes)
    if not -rank <= axis <= rank:
        raise FileFormatError(f"{node}: axis should be one of {rank}, got {axis}")
    axis += rank if axis < 0 else 0
    return x.seen_as([_joined(x.axes[:axis]), _joined(x.axes[axis:])])


def _joined(axes: Axes) -> Group:
    return tuple(atom for group in axes for atom in whole(group))


@importer("Reshape")
def reshape(reading: Reading, node: Node) -> Found:
    """Read another shape of as many elements; 0 stands for an axis that stays."""
    x, target = reading.any(node, 0), extents_of(reading, node, 1).items
    keep = not node.option("allowzero", 0)
    if isinstance(x, np.ndarray):
        return _reshaped(node, x, [extent if isinstance(extent, int) else -1 for extent in target], keep)
    value = reading.value(node)
    value.layout.settle()
    wanted: list[int | Group] = [
        value.axes[place] if extent == 0 and keep and place < len(value.axes) else extent
        for place, extent in enumerate(target)
    ]
    if wanted.count(-1) > 1 or any(isinstance(extent, int) and (extent < -1 or extent == 0) for extent in wanted):
        raise FileFormatError(f"{node}: its shape should hold positive numbers and at most one -1")
    return reading.trunk.reshape(value, wanted)


def _reshaped(node: Node, array: Constant, target: Sequence[int], keep: bool) -> Constant:
    shape = [
        array.shape[at] if extent == 0 and keep and at < array.ndim else extent for at, extent in enumerate(target)
    ]
    try:
        return array.reshape(shape)
    except ValueError as error:
        raise FileFormatError(f"{node}: shape {tuple(shape)} does not fit {array.shape}") from error


@importer("Squeeze")
def squeeze(reading: Reading, node: Node) -> Found:
    """Read fewer axes: those of one element go."""
    x, axes = reading.any(node, 0), reading.whole_numbers(node, 1, "axes")
    if isinstance(x, Extents):
        return Extents(x.items, scalar=True)
    rank = _rank(node, x)
    if axes is None:
        node.refuse("nnx reads it only with the axes to drop")
    chosen = {_axis(node, axis, rank) for axis in axes}
    if isinstance(x, np.ndarray):
        if any(x.shape[axis] != 1 for axis in chosen):
            raise FileFormatError(f"{node}: axes {sorted(chosen)} of shape {x.shape} are not of one element")
        return x.squeeze(tuple(chosen))
    value = reading.value(node)
    if any(whole(value.axes[axis]) for axis in chosen):
        node.refuse(f"axes {sorted(chosen)} are not of one element")
    return value.seen_as([group for axis, group in enumerate(value.axes) if axis not in chosen])


@importer("Unsqueeze")
def unsqueeze(reading: Reading, node: Node) -> Found:
    """Read more axes, of one element each."""
    x, axes = reading.any(node, 0), reading.whole_numbers(node, 1, "axes") or []
    if isinstance(x, Extents):
        return Extents(x.items)
    rank = _rank(node, x) + len(axes)
    chosen = {_axis(node, axis, rank) for axis in axes}
    if len(chosen) < len(axes) or rank > 16:
        raise FileFormatError(f"{node}: axes should be different, got {axes}")
    if isinstance(x, np.ndarray):
        return np.expand_dims(x, tuple(chosen))
    rest = iter(reading.value(node).axes)
    return reading.value(node).seen_as([() if axis in chosen else next(rest) for axis in range(rank)])


def _rank(node: Node, x: Found) -> int:
    if isinstance(x, np.ndarray):
        return x.ndim
    if not isinstance(x, Value):
        node.refuse("nnx reads it for arrays of the network and constants")
    return len(x.axes)


def _axis(node: Node, axis: int, rank: int) -> int:
    if not -rank <= axis < rank:
        raise FileFormatError(f"{node}: there is no axis {axis} of {rank}")
    return axis % rank
