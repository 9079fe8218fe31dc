"""Nodes as layers, one family per file."""

from nnx.onnx.imports import activations, affine, images, normalization, recurrent, shapes, sums
from nnx.onnx.imports.registry import IMPORTERS

__all__ = ["IMPORTERS", "activations", "affine", "images", "normalization", "recurrent", "shapes", "sums"]
