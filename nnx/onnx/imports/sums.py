"""Sums: of a product and its bias, of a value and what layers make of it, and of both directions."""

from __future__ import annotations

import numpy as np

from nnx.onnx.imports.affine import add_bias
from nnx.onnx.imports.registry import importer
from nnx.onnx.reading import Reading
from nnx.onnx.source import Node
from nnx.onnx.trunk import Value


@importer("Add", "Sum")
def add(reading: Reading, node: Node) -> Value:
    """Read a bias or a residual sum."""
    if len(node.inputs) != 2:
        node.refuse(f"nnx adds two things, got {len(node.inputs)}")
    first, second = reading.any(node, 0), reading.any(node, 1)
    for x, bias in ((first, second), (second, first)):
        if isinstance(x, Value) and isinstance(bias, np.ndarray):
            return add_bias(reading, node, x, bias)
    x, y = reading.value(node, 0), reading.value(node, 1)
    trunk = reading.trunk
    start, end = (x, y) if trunk.since(y) == len(trunk.steps) else (y, x)
    return trunk.residual(start, end)
