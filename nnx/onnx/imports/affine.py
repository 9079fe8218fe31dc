"""Fully connected layers and tables of vectors."""

from __future__ import annotations

import numpy as np

from nnx.errors import FileFormatError
from nnx.layers import Dense, Embedding
from nnx.onnx.axes import axis_of, size
from nnx.onnx.imports.recurrent import chosen
from nnx.onnx.imports.registry import importer
from nnx.onnx.reading import Found, Reading
from nnx.onnx.source import Constant, Node
from nnx.onnx.steps import Step
from nnx.onnx.trunk import Layout, Value


@importer("Gemm")
def gemm(reading: Reading, node: Node) -> Value:
    """Read alpha x W + beta b for rows of features."""
    x, weight = reading.value(node), reading.weight(node, 1, 2)
    if node.option("transA", 0):
        node.refuse("nnx has no layer that transposes its input (transA)")
    if len(x.axes) != 2:
        raise FileFormatError(f"{node}: its input should have two axes, got {len(x.axes)}")
    weight = weight.T if node.option("transB", 0) else weight
    weight = _scaled(weight, node.option("alpha", 1.0))
    bias = None
    if reading.has(node, 2):
        bias = _scaled(reading.weight(node, 2), node.option("beta", 1.0))
    return _dense(reading, node, x, weight, None if bias is None else _vector(node, bias, weight.shape[1]))


@importer("MatMul")
def matmul(reading: Reading, node: Node) -> Value:
    """Read the product with a constant; `Add` gives it its bias."""
    x = reading.value(node)
    if len(x.axes) < 2:
        node.refuse("nnx multiplies a batch of rows, got one axis")
    return _dense(reading, node, x, reading.weight(node, 1, 2), None)


def _dense(reading: Reading, node: Node, x: Value, weight: Constant, bias: Constant | None) -> Value:
    group = x.axes[-1]
    if size(group) != weight.shape[0]:
        raise FileFormatError(f"{node}: {size(group)} features do not fit weights of shape {weight.shape}")
    x, order = reading.trunk.bring_last(x, group)
    weights = {"weight": weight if order is None else weight[order]}
    if bias is not None:
        weights["bias"] = bias
    made = axis_of(weight.shape[1])
    axes = [*x.axes[:-1], made]
    layout = Layout([*x.layout.settle()[:-1], made], axes)
    step = Step(Dense, {"units": weight.shape[1], "bias": bias is not None}, weights)
    return reading.trunk.follow(x, step, axes, layout)


def _scaled(values: Constant, factor: float) -> Constant:
    return values if factor == 1 else (values * np.array(factor, values.dtype)).astype(values.dtype)


def _vector(node: Node, bias: Constant, units: int) -> Constant:
    """Return a bias that is the same for all rows, (O,)."""
    if bias.size not in (1, units) or bias.shape[-1:] not in ((), (1,), (units,)):
        node.refuse(f"its constant of shape {bias.shape} is not one number for each of {units} outputs")
    return np.broadcast_to(bias.ravel(), (units,))


def add_bias(reading: Reading, node: Node, x: Value, bias: Constant) -> Value:
    """Read the sum with a constant: the bias of the `MatMul` before it."""
    step = reading.trunk.last_step(x)
    if not (step and step.is_a(Dense) and not step.options["bias"] and "activation" not in step.options):
        node.refuse("nnx adds a constant only as the bias of the product before it")
    if bias.dtype.name != reading.dtype or bias.ndim > len(x.axes):
        node.refuse(f"its constant of {bias.dtype.name} and shape {bias.shape} is no bias")
    step.options["bias"], step.weights["bias"] = True, _vector(node, bias, step.options["units"])
    return x


@importer("Gather")
def gather(reading: Reading, node: Node) -> Found:
    """Read rows of a table taken by tokens; or what only looks like it, see `shapes` and `recurrent`."""
    table = reading.any(node, 0)
    if not isinstance(table, np.ndarray):
        return chosen(reading, node)
    if node.option("axis", 0) or table.ndim != 2:
        node.refuse("nnx takes rows of a table of two axes, by axis=0")
    table, x = reading.weight(node, 0), reading.value(node, 1)
    made = axis_of(table.shape[1])
    axes, layout = [*x.axes, made], [*x.layout.settle(), made]
    options = {"vocabulary": table.shape[0], "units": table.shape[1]}
    return reading.trunk.follow(x, Step(Embedding, options, {"table": table}), axes, Layout(layout, axes))
