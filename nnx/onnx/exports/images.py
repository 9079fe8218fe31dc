"""Convolution and pooling; the extents are known, so that padding is written as numbers of pixels."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnx.layers import (
    AveragePool1D,
    AveragePool2D,
    Conv1D,
    Conv2D,
    GlobalAveragePool1D,
    GlobalAveragePool2D,
    MaxPool1D,
    MaxPool2D,
)
from nnx.layers.windows import Windowed
from nnx.onnx.exports.activations import write_activation
from nnx.onnx.exports.registry import exporter
from nnx.onnx.graph import Graph, Value


def _attributes(layer: Windowed, x: Value) -> dict[str, Any]:
    """Return the attributes of a window on examples like x, along its one or two axes."""
    height, width, _ = x.shape if layer.axes == 2 else (1, *x.shape)
    window = layer.frame.window(height, width)
    size, stride, before, after, dilation = (pair[2 - layer.axes :] for pair in window)
    return {"kernel_shape": size, "strides": stride, "pads": before + after, "dilations": dilation}


@exporter(Conv1D, Conv2D)
def convolution(graph: Graph, layer: Conv1D | Conv2D, x: Value) -> Value:
    """Write Conv: weights (K, L, C / G, O) become (O, C / G, K, L)."""
    weights, name = graph.weights(), graph.first(x)
    kernel = np.moveaxis(weights["weight"], (-1, -2), (0, 1))
    inputs = [graph.constant("weight", kernel)]
    if layer.bias:
        inputs.append(graph.constant("bias", weights["bias"]))
    (z,) = graph.emit("Conv", name, *inputs, group=layer.groups, **_attributes(layer, x))
    shape = (*layer.places(x.shape), layer.filters)
    return write_activation(graph, layer.activation, layer.alpha, Value(shape, None, z))


@exporter(MaxPool1D, MaxPool2D)
def max_pool(graph: Graph, layer: MaxPool1D | MaxPool2D, x: Value) -> Value:
    """Write MaxPool."""
    (y,) = graph.emit("MaxPool", graph.first(x), **_attributes(layer, x))
    return Value((*layer.places(x.shape), x.shape[-1]), None, y)


@exporter(AveragePool1D, AveragePool2D)
def average_pool(graph: Graph, layer: AveragePool1D | AveragePool2D, x: Value) -> Value:
    """Write AveragePool, which does not count padding either."""
    attributes = {name: values for name, values in _attributes(layer, x).items() if name != "dilations"}
    (y,) = graph.emit("AveragePool", graph.first(x), count_include_pad=0, **attributes)
    return Value((*layer.places(x.shape), x.shape[-1]), None, y)


@exporter(GlobalAveragePool1D, GlobalAveragePool2D)
def global_average_pool(graph: Graph, layer: GlobalAveragePool1D | GlobalAveragePool2D, x: Value) -> Value:
    """Write GlobalAveragePool, and drop the axes that it leaves with one place."""
    del layer
    (pooled,) = graph.emit("GlobalAveragePool", graph.first(x))
    (y,) = graph.emit("Flatten", pooled, axis=1)
    return Value(x.shape[-1:], y)
