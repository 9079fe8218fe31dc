"""Activations, and layers that pass their input through in prediction."""

from __future__ import annotations

from nnx.checks import check_alpha
from nnx.layers import Activation, Dropout, Layer, SpatialDropout
from nnx.onnx.exports.registry import exporter
from nnx.onnx.graph import Graph, Value

OPERATORS = {
    "relu": "Relu",
    "leaky_relu": "LeakyRelu",
    "elu": "Elu",
    "sigmoid": "Sigmoid",
    "tanh": "Tanh",
    "softplus": "Softplus",
    "gelu": "Gelu",
    "softmax": "Softmax",
    "log_softmax": "LogSoftmax",
}
"""The operator of each activation that has one."""

WITH_ALPHA = ("leaky_relu", "elu")


def write_activation(graph: Graph, activation: str, alpha: float | None, x: Value) -> Value:
    """Write an activation by name."""
    if activation == "identity":
        return x
    if activation == "silu":  # Swish came with opset 24
        gate = graph.apply("Sigmoid", x)
        return graph.apply("Mul", x, gate.last or gate.first or "")
    operator = OPERATORS[activation]
    if activation in ("softmax", "log_softmax"):
        return Value(x.shape, graph.emit(operator, graph.last(x), axis=-1)[0])
    attributes = {"alpha": check_alpha(activation, alpha)} if activation in WITH_ALPHA else {}
    return graph.apply(operator, x, **attributes)


@exporter(Activation)
def write(graph: Graph, layer: Activation, x: Value) -> Value:
    """Write an `Activation`."""
    return write_activation(graph, layer.activation, layer.alpha, x)


@exporter(Dropout, SpatialDropout)
def pass_through(graph: Graph, layer: Layer, x: Value) -> Value:
    """Write nothing: prediction drops nothing."""
    del graph, layer
    return x
