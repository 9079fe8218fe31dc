"""Extents that nodes compute from the shape of the input, for `Reshape` and the like."""

from __future__ import annotations

import numpy as np

from nnx.errors import FileFormatError
from nnx.onnx.axes import Group, whole
from nnx.onnx.imports.registry import importer
from nnx.onnx.reading import Extents, Filled, Found, Reading
from nnx.onnx.source import Constant, Node
from nnx.onnx.trunk import Value

_MOST = 64
"""Extents in one vector: far more than any array has axes."""


@importer("Constant")
def constant(reading: Reading, node: Node) -> Found:
    """Read a constant that stands among the nodes."""
    del reading
    value = node.attributes.get("value")
    if isinstance(value, np.ndarray):
        return value
    for name, dtype in (("value_int", np.int64), ("value_ints", np.int64), ("value_float", np.float32)):
        if name in node.attributes:
            return np.array(node.attributes[name], dtype)
    if "value_floats" in node.attributes:
        return np.array(node.attributes["value_floats"], np.float32)
    raise node.refusal("nnx reads constants that are arrays of numbers")


@importer("Shape")
def shape(reading: Reading, node: Node) -> Found:
    """Read the extents of a value, or some of them."""
    x = reading.any(node, 0)
    if isinstance(x, np.ndarray):
        items: tuple[int | Group, ...] = x.shape
    else:
        items = tuple(_extent(group) for group in reading.value(node).axes)
    end = node.option("end", len(items))
    return Extents(items[node.option("start", 0) : end])


def _extent(group: Group) -> int | Group:
    if any(atom.open or atom.size is None for atom in whole(group)):
        return group
    return int(np.prod([atom.size or 1 for atom in whole(group)], dtype=object))


def extents_of(reading: Reading, node: Node, place: int) -> Extents:
    """Return an input that holds extents.

    Raises:
        FileFormatError: it holds something else, or too many.
    """
    found = reading.any(node, place)
    if isinstance(found, np.ndarray):
        found = _plain(node, found)
    if not isinstance(found, Extents):
        node.refuse(f"its input {place} must hold extents: constants, or those of the input")
    return found


def _plain(node: Node, array: Constant) -> Extents:
    if array.dtype.kind != "i" or array.ndim > 1 or array.size > _MOST:
        raise FileFormatError(
            f"{node}: expected a few whole numbers, got {array.dtype.name} of shape {array.shape}"
        )
    return Extents(tuple(int(extent) for extent in array.ravel()), scalar=array.ndim == 0)


@importer("Cast")
def cast(reading: Reading, node: Node) -> Found:
    """Read extents in another type of whole numbers, or in the type that they have."""
    found = reading.any(node, 0)
    if isinstance(found, Value):
        if reading.trunk.steps or node.option("to", 0) not in (6, 7):  # INT32, INT64
            node.refuse("nnx computes in one dtype from beginning to end")
        return found
    if isinstance(found, np.ndarray):
        return Extents(extents_of(reading, node, 0).items, scalar=found.ndim == 0)
    return found


def take(reading: Reading, node: Node) -> Extents:
    """Read `Gather` of extents."""
    found, chosen = extents_of(reading, node, 0), reading.constant(node, 1)
    if chosen.dtype.kind != "i" or chosen.ndim > 1 or chosen.size > _MOST:
        raise FileFormatError(f"{node}: expected a few places, got shape {chosen.shape}")
    try:
        items = tuple(found.items[int(place)] for place in chosen.ravel())
    except IndexError as error:
        raise FileFormatError(f"{node}: there are {len(found.items)} extents") from error
    return Extents(items, scalar=chosen.ndim == 0)


def join(reading: Reading, node: Node) -> Extents:
    """Read `Concat` of extents."""
    parts = [extents_of(reading, node, place).items for place in range(len(node.inputs))]
    items = tuple(item for part in parts for item in part)
    if len(items) > _MOST:
        raise FileFormatError(f"{node}: expected at most {_MOST} extents, got {len(items)}")
    return Extents(items)


@importer("Slice")
def cut(reading: Reading, node: Node) -> Extents:
    """Read some extents of several."""
    found = reading.any(node, 0)
    if not isinstance(found, Extents):
        node.refuse("nnx cuts extents only, and no arrays")
    start, stop, step = (
        reading.whole_numbers(node, place) or [default] for place, default in ((1, 0), (2, 0), (4, 1))
    )
    if not len(start) == len(stop) == len(step) == 1 or not step[0]:
        raise FileFormatError(f"{node}: expected one beginning, one end and one step")
    return Extents(found.items[start[0] : stop[0] : step[0]])


@importer("ConstantOfShape")
def constant_of_shape(reading: Reading, node: Node) -> Filled:
    """Read an array of one number, such as the zeros that states begin with; it is not made."""
    extents_of(reading, node, 0)
    value = node.attributes.get("value", np.zeros(1, np.float32))
    if not isinstance(value, np.ndarray) or value.size != 1:
        raise FileFormatError(f"{node}: value should be an array of one number")
    return Filled(float(value.ravel()[0]))


@importer("Expand")
def expand(reading: Reading, node: Node) -> Filled:
    """Read an array of one number; it is not made larger."""
    found = reading.any(node, 0)
    extents_of(reading, node, 1)
    if isinstance(found, Filled):
        return found
    if not isinstance(found, np.ndarray) or not found.size or (found != found.ravel()[0]).any():
        node.refuse("nnx expands single numbers only")
    return Filled(float(found.ravel()[0]))
