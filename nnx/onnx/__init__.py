"""x"""
from nnx.onnx.exports import exporter
from nnx.onnx.graph import Graph, Value
