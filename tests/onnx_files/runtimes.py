"""What other programs predict from files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import nnx

ROUNDING = 2e-5
"""How far two float32 programs may part, relative to the largest output: sums here have up to a hundred terms, each
rounded by 2^-24 in either program (1.2e-5 together), and steps of recurrences, whose gates damp, add some more."""


def predict(path: Path, **inputs: Any) -> Any:
    """Return the output that onnxruntime computes."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
    return session.run(None, inputs)[0]


def reference(path: Path, **inputs: Any) -> Any:
    """Return the output that the reference of the format computes, in float64 too."""
    from onnx.reference import ReferenceEvaluator

    return ReferenceEvaluator(str(path)).run(None, inputs)[0]


def require_close(got: Any, expected: Any, bound: float = ROUNDING) -> None:
    """Assert that two programs predict the same but for rounding."""
    assert got.dtype == expected.dtype
    assert got.shape == expected.shape
    if expected.size:
        largest = max(1.0, float(np.max(np.abs(expected))))
        assert float(np.max(np.abs(got - expected))) <= bound * largest


def require_round_trip(model: nnx.Sequential, path: Path, x: Any) -> nnx.Sequential:
    """Assert that the file gives the same predictions again, bit for bit; return the model that it gives."""
    again = nnx.onnx.load(path, model.backend)
    expected, got = model.predict(x), again.predict(x)
    assert got.dtype == expected.dtype
    np.testing.assert_array_equal(got, expected)
    assert again.input_extents == model.input_extents
    return again


def unsettle(model: nnx.Sequential, seed: int = 0) -> nnx.Sequential:
    """Give a model weights of which no two are alike, biases and statistics too; return it."""
    random = np.random.default_rng(seed)
    for name, values in model.get_weights().items():
        model.set_weights({name: values + random.uniform(0.1, 0.5, values.shape)})
    return model
