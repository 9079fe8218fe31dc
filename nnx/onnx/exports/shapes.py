"""Layers that only change the shape."""

from __future__ import annotations

import math

from nnx.builder import Shape
from nnx.layers import Flatten, Reshape
from nnx.onnx.exports.registry import exporter
from nnx.onnx.graph import Graph, Value


@exporter(Flatten)
def flatten(graph: Graph, layer: Flatten, x: Value) -> Value:
    """Write Flatten behind the batch."""
    del layer
    (y,) = graph.emit("Flatten", graph.last(x), axis=1)
    return Value((math.prod(x.shape),), y)


@exporter(Reshape)
def reshape(graph: Graph, layer: Reshape, x: Value) -> Value:
    """Write Reshape; 0 stands for an extent that stays, such as the batch, or any number of steps."""
    target = _target(layer.shape, x.shape)
    extents = (0, *target[1:]) if layer.steps == "kept" else target
    (y,) = graph.emit("Reshape", graph.last(x), graph.numbers("shape", 0, *extents))
    return Value(target, y)


def _target(wanted: Shape, shape: Shape) -> Shape:
    known = math.prod(extent for extent in wanted if extent != -1)
    return tuple(math.prod(shape) // known if extent == -1 else extent for extent in wanted)
