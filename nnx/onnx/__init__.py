"""Models as ONNX files, for other programs to predict with, and such files as models.

    model.export_onnx("digits.onnx")                # input "x" and output "y", as model.predict has them
    model = nnx.onnx.load("digits.onnx")            # of nnx, or of another program

`exporter` says how layers of your own are written: its function is given the `Graph` and a `Value`.
"""

from nnx.onnx.exports import exporter
from nnx.onnx.graph import Graph, Value
from nnx.onnx.loading import load

__all__ = ["Graph", "Value", "exporter", "load"]
