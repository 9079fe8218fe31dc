"""The library that knows the format, loaded when it is first needed."""

from __future__ import annotations

from typing import Any

from nnx.errors import MissingLibraryError


def library() -> Any:
    """Return the package `onnx`.

    Raises:
        MissingLibraryError: it is not installed.
    """
    try:
        import onnx
        import onnx.numpy_helper
    except ImportError as error:
        raise MissingLibraryError("onnx", "ONNX files", "onnx") from error
    return onnx
