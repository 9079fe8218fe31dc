"""Models as ONNX files, for other programs to predict with, and such files as models.

    model.export_onnx("digits.onnx")                # input "x" and output "y", as model.predict has them
    model = nnx.onnx.load("digits.onnx")            # of nnx, or of another program

`exporter` says how layers of your own are written: its function is given the `Graph` and a `Value`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nnx.onnx.exports.registry import exporter
    from nnx.onnx.graph import Graph, Value
    from nnx.onnx.loading import load

__all__ = ["Graph", "Value", "exporter", "load"]

_PLACES = {"Graph": "graph", "Value": "graph", "exporter": "exports.registry", "load": "loading"}


def __getattr__(name: str) -> object:
    """Return a public name; `import nnx` loads none of what stands behind them."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
