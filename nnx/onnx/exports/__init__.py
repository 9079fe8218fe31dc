"""Layers as nodes, one family per file."""

from nnx.onnx.exports import activations, affine, containers, images, normalization, recurrent, shapes
from nnx.onnx.exports.containers import write_chain
from nnx.onnx.exports.registry import Exporter, exporter, write_layer

__all__ = [
    "Exporter",
    "activations",
    "affine",
    "containers",
    "exporter",
    "images",
    "normalization",
    "recurrent",
    "shapes",
    "write_chain",
    "write_layer",
]
