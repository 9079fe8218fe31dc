"""Recurrent layers, in one direction or in both.

ONNX has steps first, (T, N, F), keeps the directions apart, (T, 2, N, H), and stores weights transposed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnx.checks import check_alpha
from nnx.layers import GRU, LSTM, Bidirectional, SimpleRNN
from nnx.layers.unrolling import Recurrent
from nnx.onnx.exports.activations import OPERATORS, WITH_ALPHA
from nnx.onnx.exports.registry import exporter
from nnx.onnx.graph import Graph, Value

Weights = Mapping[str, NDArray[Any]]

GATES = {"RNN": (0,), "LSTM": (0, 3, 1, 2), "GRU": (0, 1, 2)}
"""The parts of nnx's weights in the order of each operator: i, f, g, o become i, o, f, g."""

NAMES: dict[type[Recurrent], str] = {SimpleRNN: "RNN", LSTM: "LSTM", GRU: "GRU"}


@exporter(SimpleRNN, LSTM, GRU)
def recurrent(graph: Graph, layer: Recurrent, x: Value) -> Value:
    """Write a layer that reads in one direction, and what of its outputs is wanted."""
    direction = "reverse" if layer.go_backwards else "forward"
    outputs = _run(graph, layer, direction, [graph.weights()], x)
    if layer.return_sequences:
        (steps,) = graph.emit("Squeeze", outputs[0], graph.numbers("direction", 1))
        (y,) = graph.emit("Transpose", steps, perm=[1, 0, 2])
        return Value((x.shape[0], layer.units), y)
    count = len(layer.state_names) if layer.return_state else 1
    axis = graph.numbers("direction", 0)
    states = [graph.emit("Squeeze", state, axis)[0] for state in outputs[1 : 1 + count]]
    y = states[0] if count == 1 else graph.emit("Concat", *states, axis=-1)[0]
    return Value((layer.units * count,), y)


@exporter(Bidirectional)
def bidirectional(graph: Graph, layer: Bidirectional, x: Value) -> Value:
    """Write one node for both directions; the one that goes forward comes first in ONNX."""
    first = layer.layer
    assert isinstance(first, Recurrent)  # as `Bidirectional` makes sure
    pair = [_part(graph.weights(), place) for place in ("0.", "1.")]
    outputs = _run(graph, first, "bidirectional", pair[::-1] if first.go_backwards else pair, x)
    y, axis = (outputs[0], 1) if first.return_sequences else (outputs[1], 0)
    if first.go_backwards:
        (y,) = graph.emit("Gather", y, graph.numbers("turned_round", 1, 0), axis=axis)
    steps = x.shape[:1] if first.return_sequences else ()
    if layer.merge == "sum":
        (y,) = graph.emit("ReduceSum", y, graph.numbers("directions", axis), keepdims=0)  # (T, N, H) or (N, H)
        if steps:
            (y,) = graph.emit("Transpose", y, perm=[1, 0, 2])
        return Value((*steps, first.units), y)
    (y,) = graph.emit("Transpose", y, perm=[2, 0, 1, 3] if steps else [1, 0, 2])  # (N, T, 2, H) or (N, 2, H)
    (y,) = graph.emit("Reshape", y, graph.numbers("joined", *([0] * (1 + len(steps))), 2 * first.units))
    return Value((*steps, 2 * first.units), y)


def _part(weights: Weights, start: str) -> Weights:
    return {name[len(start) :]: array for name, array in weights.items() if name.startswith(start)}


def _run(graph: Graph, layer: Recurrent, direction: str, weights: list[Weights], x: Value) -> list[str]:
    """Write the node over all steps, of the weights of each direction; return all its outputs."""
    operator = NAMES[type(layer)]
    (steps_first,) = graph.emit("Transpose", graph.last(x), perm=[1, 0, 2])
    arrays = {"W": "weight", "R": "recurrent_weight"}
    inputs = [
        graph.constant(name, np.stack([_rows(operator, held[part]) for held in weights]))
        for name, part in arrays.items()
    ]
    if layer.bias:
        biases = np.stack([_bias(operator, held) for held in weights])
        inputs.append(graph.constant("B", biases))
    if graph.lengths is not None:
        inputs += [*([] if layer.bias else [""]), graph.lengths]
    options = _activations(layer, len(weights)) | ({"linear_before_reset": 1} if operator == "GRU" else {})
    count = 3 if operator == "LSTM" else 2
    return graph.emit(
        operator,
        steps_first,
        *inputs,
        outputs=count,
        hidden_size=layer.units,
        direction=direction,
        **options,
    )


def _rows(operator: str, weight: NDArray[Any]) -> NDArray[Any]:
    """Return (F, gates H) as (gates H, F), the gates in the operator's order."""
    parts = np.split(weight, len(GATES[operator]), axis=1)
    return np.concatenate([parts[gate] for gate in GATES[operator]], axis=1).T


def _bias(operator: str, held: Weights) -> NDArray[Any]:
    """Return both biases, (2 gates H,): that of the inputs, and that of the states, 0 where nnx has none."""
    parts = np.split(held["bias"], len(GATES[operator]))
    bias = np.concatenate([parts[gate] for gate in GATES[operator]])
    return np.concatenate([bias, held.get("recurrent_bias", np.zeros_like(bias))])


def _activations(layer: Recurrent, directions: int) -> dict[str, Any]:
    """Return the attributes that name the activation of a `SimpleRNN`; those of the others are the usual ones."""
    if not isinstance(layer, SimpleRNN) or layer.activation == "tanh":
        return {}
    if layer.activation == "identity":
        return {
            "activations": ["Affine"] * directions,
            "activation_alpha": [1.0] * directions,
            "activation_beta": [0.0] * directions,
        }
    names = {"activations": [OPERATORS[layer.activation]] * directions}
    if layer.activation in WITH_ALPHA:
        return {**names, "activation_alpha": [check_alpha(layer.activation, None)] * directions}
    return names
