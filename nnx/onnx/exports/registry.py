"""Which function writes which layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from nnx.errors import OptionError
from nnx.layers import LAYERS, Layer
from nnx.onnx.graph import Graph, Value

Exporter = Callable[[Graph, Any, Value], Value]
"""Writes a layer: takes the graph, the layer and its input, and returns its output."""

_Function = TypeVar("_Function", bound=Exporter)
_EXPORTERS: dict[type[Layer], Exporter] = {}


def exporter(*kinds: type[Layer]) -> Callable[[_Function], _Function]:
    """Return a decorator: the function writes layers of these classes, but not of classes derived from them.

    For a layer of your own:

        @nnx.onnx.exporter(TanhResidual)                     # y = x + tanh x
        def write(graph, layer, x):
            x_name = graph.last(x)                           # channels last, as nnx has them
            (t,) = graph.emit("Tanh", x_name)
            (y,) = graph.emit("Add", x_name, t)
            return nnx.onnx.Value(x.shape, y)                # the shape of one example, and the name

    The arrays of the layer are `graph.weights()`, by name; `graph.constant(name, array)` writes one.
    """
    for kind in kinds:
        if not (isinstance(kind, type) and issubclass(kind, Layer)):
            raise OptionError(f"exporter expects classes of layers, such as MyLayer, got {kind!r}.")

    def register(function: _Function) -> _Function:
        for kind in kinds:
            _EXPORTERS[kind] = function
        return function

    return register


def write_layer(graph: Graph, layer: Layer, x: Value) -> Value:
    """Write a layer and return its output.

    Raises:
        OptionError: nobody has said how layers of its class are written.
    """
    write = _EXPORTERS.get(type(layer))
    if write is None:
        raise OptionError(
            f"layer {graph.path}, {layer!r}, cannot be exported: nnx can write {', '.join(sorted(LAYERS))}. "
            f"Say how a {type(layer).__name__} is written by @nnx.onnx.exporter({type(layer).__name__}), "
            "see help(nnx.onnx.exporter)."
        )
    return write(graph, layer, x)
