"""Batch and layer normalisation."""

from __future__ import annotations

from nnx.layers import BatchNorm, LayerNorm
from nnx.onnx.exports.registry import exporter
from nnx.onnx.graph import Graph, Value


@exporter(BatchNorm)
def batch_norm(graph: Graph, layer: BatchNorm, x: Value) -> Value:
    """Write BatchNormalization by the running statistics."""
    weights, name = graph.weights(), graph.first(x)
    inputs = [graph.constant(part, weights[part]) for part in ("gamma", "beta", "running_mean", "running_var")]
    (y,) = graph.emit("BatchNormalization", name, *inputs, epsilon=layer.eps)
    return Value(x.shape, y) if len(x.shape) == 1 else Value(x.shape, None, y)


@exporter(LayerNorm)
def layer_norm(graph: Graph, layer: LayerNorm, x: Value) -> Value:
    """Write LayerNormalization over the last axis."""
    weights = graph.weights()
    inputs = [graph.constant(part, weights[part]) for part in ("gamma", "beta")]
    (y,) = graph.emit("LayerNormalization", graph.last(x), *inputs, axis=-1, epsilon=layer.eps)
    return Value(x.shape, y)
