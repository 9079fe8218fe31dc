"""The node tests of the package `onnx`, given to nnx as files: `python -m tests.onnx_files.node_cases` lists them.

Each test is one node with its inputs and outputs. The first input that flows stays an input; the others become
constants, as weights are in files. Only the first output is asked for.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

import nnx
from nnx.errors import FileFormatError

MODULES = (
    *("averagepool", "batch_normalization", "conv", "dropout", "elu", "flatten", "gather", "gelu"),
    *("gemm", "globalaveragepool", "gru", "identity", "layernormalization", "leakyrelu"),
    *("logsoftmax", "lstm", "matmul", "maxpool", "relu", "reducemean", "reshape", "rnn", "sigmoid"),
    *("softmax", "softplus", "squeeze", "swish", "tanh", "transpose", "unsqueeze"),
)
"""Modules of the package with tests of operators that nnx has layers for; names differ between versions."""


@dataclass(frozen=True)
class Outcome:
    """What came of a test: "passed", "refused" or "wrong", and why."""

    name: str
    operator: str
    verdict: str
    reason: str = ""


def collect() -> list[Any]:
    """Return the tests of our operators, those of other operators' expansions into ours left out."""
    from onnx.backend.test.case import node

    def only_ours(package: Any) -> None:
        for name in MODULES:
            if importlib.util.find_spec(f"{package.__name__}.{name}"):
                importlib.import_module(f"{package.__name__}.{name}")

    with warnings.catch_warnings(), patch.object(node, "import_recursive", only_ours):
        warnings.simplefilter("ignore")
        found = node.collect_testcases(None)
    return [case for case in found if "_expanded" not in case.name]


def run(case: Any, folder: Path) -> Outcome:
    """Read a test's file, predict, and compare with its output."""
    inputs, outputs = case.data_sets[0]
    path, operator = folder / "node.onnx", case.model.graph.node[0].op_type
    place = 1 if operator == "Gather" else 0
    path.write_bytes(_file(case.model, inputs, place))
    try:
        model = nnx.onnx.load(path, "numpy")
    except FileFormatError as error:
        return Outcome(case.name, operator, "refused", str(error).removeprefix(f"{path}: "))
    axes = model.metadata["onnx"]
    got = model.predict(inputs[place].transpose(axes["input_axes"]))
    expected = _as_ours(outputs[0], axes["output_axes"])
    same = got.shape == expected.shape and np.allclose(got, expected, rtol=case.rtol, atol=case.atol)
    return Outcome(case.name, operator, "passed" if same else "wrong")


def _file(model: Any, inputs: list[Any], place: int) -> bytes:
    import onnx

    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    given = list(changed.graph.input)
    del changed.graph.input[:], changed.graph.output[1:]
    changed.graph.input.append(given[place])
    for item, values in zip(given, inputs, strict=True):
        if item.name != given[place].name and isinstance(values, np.ndarray | np.generic):
            changed.graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(values), item.name))
    return changed.SerializeToString()


def _as_ours(array: Any, axes: list[int]) -> Any:
    """Return an output of the file in nnx's axes; -1 is one of a single element that the file lacks."""
    kept = [axis for axis in axes if axis >= 0]
    rest = [axis for axis in range(array.ndim) if axis not in kept]
    moved = array.transpose([*kept, *rest])
    assert all(extent == 1 for extent in moved.shape[len(kept) :])
    shape = iter(moved.shape)
    return moved.reshape([1 if axis < 0 else next(shape) for axis in axes])


def outcomes() -> list[Outcome]:
    """Return what came of all tests."""
    with tempfile.TemporaryDirectory() as folder:
        return [run(case, Path(folder)) for case in collect()]


def table(found: list[Outcome]) -> str:
    """Return Markdown: how many tests of each operator pass, and which are refused, with nnx's own words."""
    counts = {word: sum(item.verdict == word for item in found) for word in ("passed", "refused", "wrong")}
    told = "{passed} passed, {refused} were refused, {wrong} gave other numbers than they should."
    lines = [told.format(**counts), "", "| Operator | Passed | Refused |", "| --- | --- | --- |"]
    for operator in sorted({item.operator for item in found}):
        verdicts = [item.verdict for item in found if item.operator == operator]
        lines.append(f"| {operator} | {verdicts.count('passed')} | {verdicts.count('refused')} |")
    reasons = [f"| {item.name} | {item.reason} |" for item in found if item.verdict == "refused"]
    return "\n".join([*lines, "", "| Refused | Why |", "| --- | --- |", *reasons])


if __name__ == "__main__":
    sys.stdout.write(f"{table(outcomes())}\n")
