"""The node tests of the package `onnx` for our operators: passed, or refused with a reason; none is wrong."""

from __future__ import annotations

import pytest

from tests.onnx_files.node_cases import Outcome, outcomes

PASSED = {
    "AveragePool": 10,
    "BatchNormalization": 2,
    "Conv": 6,
    "Dropout": 4,
    "Elu": 3,
    "Flatten": 3,
    "Gelu": 2,
    "Gemm": 8,
    "GlobalAveragePool": 2,
    "Identity": 1,
    "LSTM": 5,
    "LayerNormalization": 13,
    "LeakyRelu": 3,
    "LogSoftmax": 7,
    "MatMul": 1,
    "MaxPool": 13,
    "RNN": 6,
    "ReduceMean": 6,
    "Relu": 1,
    "Reshape": 6,
    "Sigmoid": 2,
    "Softmax": 7,
    "Softplus": 2,
    "Squeeze": 1,
    "Swish": 1,
    "Tanh": 2,
    "Transpose": 7,
    "Unsqueeze": 7,
}
"""How many tests of each operator passed with onnx 1.23; a later one may have more. What is refused, and why, is
told by `python -m tests.onnx_files.node_cases`: layers have not all of an operator's options."""


@pytest.fixture(scope="module")
def found() -> list[Outcome]:
    return outcomes()


def test_no_node_is_read_as_something_else(found: list[Outcome]) -> None:
    assert [item for item in found if item.verdict == "wrong"] == []


def test_what_is_refused_names_its_node_or_what_else_is_wrong(found: list[Outcome]) -> None:
    for item in found:
        if item.verdict == "refused":
            named = f", {item.operator}: " in item.reason
            assert named or item.reason.startswith(("input ", "array ", "its layers", "expected ")), item


@pytest.mark.parametrize("operator", sorted(PASSED))
def test_what_nnx_has_layers_for_passes(found: list[Outcome], operator: str) -> None:
    passed = [item.name for item in found if (item.operator, item.verdict) == (operator, "passed")]
    assert len(passed) >= PASSED[operator], passed
