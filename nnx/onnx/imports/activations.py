"""Activations; one right behind a layer with weights becomes its own."""

from __future__ import annotations

from typing import Any

from nnx.layers import Activation, Conv1D, Conv2D, Dense
from nnx.onnx.axes import whole
from nnx.onnx.imports.registry import importer
from nnx.onnx.reading import Reading
from nnx.onnx.source import Node
from nnx.onnx.steps import Step
from nnx.onnx.trunk import Value

OPERATORS = {
    "Relu": "relu",
    "LeakyRelu": "leaky_relu",
    "Elu": "elu",
    "Sigmoid": "sigmoid",
    "Tanh": "tanh",
    "Softplus": "softplus",
    "Gelu": "gelu",
    "Swish": "silu",
    "Softmax": "softmax",
    "LogSoftmax": "log_softmax",
}
"""The activation of each operator."""

ALPHAS = {"LeakyRelu": 0.01, "Elu": 1.0}
"""The alpha of operators that give none."""


@importer("Relu", "Sigmoid", "Tanh", "Softplus")
def elementwise(reading: Reading, node: Node) -> Value:
    """Read an activation without options."""
    return put(reading, node, OPERATORS[node.operator])


@importer("LeakyRelu", "Elu")
def with_alpha(reading: Reading, node: Node) -> Value:
    """Read an activation with its slope or scale."""
    alpha = node.option("alpha", ALPHAS[node.operator])
    if not alpha >= 0:
        node.refuse(f"alpha must not be negative, got {alpha}")
    return put(reading, node, OPERATORS[node.operator], alpha)


@importer("Gelu")
def gelu(reading: Reading, node: Node) -> Value:
    """Read the exact gelu."""
    if node.option("approximate", "none") != "none":
        node.refuse("nnx has the exact gelu only, approximate='none'")
    return put(reading, node, "gelu")


@importer("Swish")
def swish(reading: Reading, node: Node) -> Value:
    """Read silu, which is Swish of factor 1."""
    if node.option("alpha", 1.0) != 1.0:
        node.refuse("nnx has Swish of alpha=1 only, as silu")
    return put(reading, node, "silu")


@importer("Softmax", "LogSoftmax")
def rowwise(reading: Reading, node: Node) -> Value:
    """Read an activation of one axis, the last one in nnx."""
    x = reading.value(node)
    axis = node.option("axis", -1)
    if not -len(x.axes) <= axis < len(x.axes):
        node.refuse(f"axis must be one of the {len(x.axes)} of its input, got {axis}")
    before = whole(x.axes[axis])
    x, order = reading.trunk.bring_last(x, before)
    del order  # the sum over all elements does not care for it
    return put(reading, node, OPERATORS[node.operator], x=x)


def put(reading: Reading, node: Node, name: str, alpha: float | None = None, x: Value | None = None) -> Value:
    """Put an activation behind a value, or into the layer that the value comes from."""
    x = reading.value(node) if x is None else x
    step = reading.trunk.last_step(x)
    options: dict[str, Any] = {"activation": name} if alpha is None else {"activation": name, "alpha": alpha}
    if (
        step
        and step.is_a(Dense, Conv1D, Conv2D)
        and "activation" not in step.options
        and reading.used_once(node, 0)
    ):
        step.options.update(options)
        return x
    return reading.trunk.elementwise(x, Step(Activation, options))


@importer("Mul")
def silu(reading: Reading, node: Node) -> Value:
    """Read x times sigmoid(x), as which silu is written."""
    trunk, pair = reading.trunk, (reading.value(node, 0), reading.value(node, 1))
    for x, gate in (pair, pair[::-1]):
        step = trunk.last_step(gate)
        sigmoid = step is not None and step.is_a(Activation) and step.options["activation"] == "sigmoid"
        if sigmoid and trunk.since(x) == len(trunk.steps) - 1 and gate.axes == x.axes:
            return trunk.change(gate, [Step(Activation, {"activation": "silu"})], 1)
    raise node.refusal("nnx knows the product of x and sigmoid(x), which is silu, and no others")
