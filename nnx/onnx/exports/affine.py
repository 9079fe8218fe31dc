"""Fully connected layers and tables of vectors."""

from __future__ import annotations

from nnx.layers import Dense, Embedding
from nnx.onnx.exports.activations import write_activation
from nnx.onnx.exports.registry import exporter
from nnx.onnx.graph import Graph, Value


@exporter(Dense)
def dense(graph: Graph, layer: Dense, x: Value) -> Value:
    """Write Gemm for rows of features, MatMul and Add where there are more axes."""
    weights, name = graph.weights(), graph.last(x)
    inputs = [graph.constant(part, weights[part]) for part in ("weight", "bias") if part in weights]
    if len(x.shape) == 1:
        (z,) = graph.emit("Gemm", name, *inputs)
    else:
        (z,) = graph.emit("MatMul", name, inputs[0])
        if layer.bias:
            (z,) = graph.emit("Add", z, inputs[1])
    return write_activation(graph, layer.activation, layer.alpha, Value((*x.shape[:-1], layer.units), z))


@exporter(Embedding)
def embedding(graph: Graph, layer: Embedding, x: Value) -> Value:
    """Write Gather, which takes rows of the table."""
    table = graph.constant("table", graph.weights()["table"])
    (y,) = graph.emit("Gather", table, graph.last(x), axis=0)
    return Value((*x.shape, layer.units), y)
