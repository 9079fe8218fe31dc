"""Layers made of layers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nnx.layers import Chain, Layer, Residual, TimeDistributed
from nnx.onnx.exports.registry import exporter, write_layer
from nnx.onnx.graph import Graph, Value


def write_chain(graph: Graph, layers: Sequence[Layer], x: Value) -> Value:
    """Write one layer after another, under the current path; lengths hold as long as there are steps."""
    outer = graph.path
    for index, layer in enumerate(layers):
        with graph.within(f"{outer}.{index}" if outer else str(index)):
            x = write_layer(graph, layer, x)
        if layer.steps != "kept":
            graph.lengths = None
    return x


@exporter(Chain)
def chain(graph: Graph, layer: Chain, x: Value) -> Value:
    """Write the layers of a chain."""
    return write_chain(graph, layer.layers, x)


@exporter(Residual)
def residual(graph: Graph, layer: Residual, x: Value) -> Value:
    """Write Add of the input and of what the layers make of it."""
    y = write_chain(graph, layer.layers, x)
    if x.last is None and y.last is None:
        return Value(x.shape, None, graph.emit("Add", graph.first(x), graph.first(y))[0])
    return Value(x.shape, graph.emit("Add", graph.last(x), graph.last(y))[0])


@exporter(TimeDistributed)
def time_distributed(graph: Graph, layer: TimeDistributed, x: Value) -> Value:
    """Write the layers on all steps as one batch, and give the result its steps back."""
    name, lengths, graph.lengths = graph.last(x), graph.lengths, None
    (folded,) = graph.emit("Reshape", name, graph.numbers("steps_as_batch", -1, *x.shape[1:]))
    y = write_chain(graph, layer.layers, Value(x.shape[1:], folded))
    (extents,) = graph.emit("Shape", name, start=0, end=2)  # batch and steps, whatever their number
    rest = graph.constant("rest", np.array(y.shape, np.int64))
    (target,) = graph.emit("Concat", extents, rest, axis=0)
    (unfolded,) = graph.emit("Reshape", graph.last(y), target)
    graph.lengths = lengths
    return Value((x.shape[0], *y.shape), unfolded)
