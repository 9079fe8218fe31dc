"""Batch and layer normalisation, and dropout, which prediction passes by."""

from __future__ import annotations

import math

import numpy as np

from nnx.errors import FileFormatError
from nnx.layers import BatchNorm, LayerNorm
from nnx.onnx.axes import Group, size, whole
from nnx.onnx.imports.registry import importer
from nnx.onnx.reading import Found, Reading
from nnx.onnx.source import Constant, Node
from nnx.onnx.steps import Step
from nnx.onnx.trunk import Value

_PARTS = ("gamma", "beta", "running_mean", "running_var")


@importer("BatchNormalization")
def batch_norm(reading: Reading, node: Node) -> Value:
    """Read a normalisation by running statistics."""
    x = reading.value(node)
    if node.option("training_mode", 0):
        node.refuse("it is in training; export the model for prediction")
    if len(x.axes) < 2:
        node.refuse("nnx normalises channels, got one axis")
    arrays = [reading.weight(node, 1 + place, 1) for place in range(len(_PARTS))]
    x, order = reading.trunk.bring_last(x, x.axes[1])
    channels = size(whole(x.axes[1]))
    if any(array.shape != (channels,) for array in arrays):
        raise FileFormatError(f"{node}: its arrays do not have the {channels} channels of its input")
    weights = {name: _sorted(array, order) for name, array in zip(_PARTS, arrays, strict=True)}
    if not (arrays[3] >= 0).all():
        raise FileFormatError(f"{node}: its variances should not be negative")
    return reading.trunk.elementwise(x, Step(BatchNorm, {"eps": _epsilon(node)}, weights))


@importer("LayerNormalization")
def layer_norm(reading: Reading, node: Node) -> Value:
    """Read a normalisation over the last axes, which nnx has as one."""
    x = reading.value(node)
    axis = node.option("axis", -1)
    axis += len(x.axes) if axis < 0 else 0
    if not 0 < axis < len(x.axes):
        node.refuse(f"nnx normalises each example of the batch by itself, got axis={axis}")
    if reading.wanted(node, 1) or reading.wanted(node, 2):
        node.refuse("nnx gives its first output only")
    group: Group = tuple(atom for part in x.axes[axis:] for atom in whole(part))
    x, order = reading.trunk.bring_last(x, group)
    features = size(group)
    gamma = reading.weight(node, 1).ravel()
    beta = reading.weight(node, 2).ravel() if reading.has(node, 2) else np.zeros_like(gamma)
    if gamma.size != features or beta.size != features:
        raise FileFormatError(f"{node}: scale and offset do not have the {features} features of its input")
    weights = {"gamma": _sorted(gamma, order), "beta": _sorted(beta, order)}
    return reading.trunk.elementwise(x, Step(LayerNorm, {"eps": _epsilon(node)}, weights))


def _epsilon(node: Node) -> float:
    epsilon = node.option("epsilon", 1e-5)
    if not 0 < epsilon < math.inf:
        node.refuse(f"epsilon must be positive, got {epsilon}")
    return float(epsilon)


def _sorted(array: Constant, order: Constant | None) -> Constant:
    return array if order is None else array[order]


@importer("Dropout")
def dropout(reading: Reading, node: Node) -> Value:
    """Read nothing: prediction drops nothing."""
    if reading.wanted(node, 1):
        node.refuse("nnx gives no mask")
    if reading.has(node, 2) and bool(reading.constant(node, 2, 0)):
        node.refuse("it is in training; export the model for prediction")
    return reading.value(node)


@importer("Identity")
def identity(reading: Reading, node: Node) -> Found:
    """Read a second name for the same."""
    return reading.any(node, 0)
