"""Models as ONNX files, written whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nnx.checks import check_flag, check_json
from nnx.errors import DivergenceError, OptionError
from nnx.files import check_ending, check_target, storing
from nnx.network import Network
from nnx.onnx.exports import write_chain
from nnx.onnx.graph import Graph, Value
from nnx.onnx.library import library
from nnx.version import __version__

OPSET, IR_VERSION = 20, 9
"""The first operator set with Gelu, and the version of the format that came with it: onnx 1.15, of 2023."""

LARGEST = 2**31 - 2**20
"""Bytes of weights in one file: the format's messages have less than 2 GiB, the graph included."""

INPUT, LENGTHS, OUTPUT = "x", "lengths", "y"


def write_model(model: Network, metadata: dict[str, Any], path: str | Path, lengths: bool) -> None:
    """Write a built model; `Sequential.export_onnx` says what is written, and what is raised."""
    target, kept = check_target(path), check_json("metadata", metadata)
    check_ending(target, (".onnx",), "path must end in .onnx, as ONNX files do,")
    message = _message(model, kept, check_flag("lengths", lengths))
    with storing(target) as part:
        part.write_bytes(message.SerializeToString(deterministic=True))


def _message(model: Network, metadata: dict[str, Any], lengths: bool) -> Any:
    onnx = library()
    _check_lengths(model, lengths)
    graph = _graph(model, lengths)
    y = write_chain(graph, model.chain.layers, Value(model.input_shape, INPUT))
    graph.path = ""
    graph.nodes.append(onnx.helper.make_node("Identity", [graph.last(y)], [OUTPUT], "output"))
    inputs = [_input(model), *([_tensor(LENGTHS, "int32", ["N"])] if lengths else [])]
    extents: list[int | str] = ["N", *model.output_shape]
    if _any_steps(model) and model.steps_last:
        extents[1] = "T"
    outputs = [_tensor(OUTPUT, model.dtype, extents)]
    made = onnx.helper.make_graph(graph.nodes, "nnx", inputs, outputs, graph.constants)
    opsets = [onnx.helper.make_opsetid("", OPSET)]
    message = onnx.helper.make_model(
        made,
        opset_imports=opsets,
        ir_version=IR_VERSION,
        producer_name="nnx",
        producer_version=__version__,
    )
    facts = {"nnx.version": __version__, "nnx.input_shape": json.dumps(model.input_shape)}
    onnx.helper.set_model_props(message, {**facts, "nnx.metadata": json.dumps(metadata)})
    return message


def _graph(model: Network, lengths: bool) -> Graph:
    """Return an empty graph that knows the weights."""
    weights = model.get_weights()
    for name, array in weights.items():
        if not np.isfinite(array).all():
            raise DivergenceError(
                f"The model cannot be exported: {name} holds NaN or infinity. No file was changed."
            )
    total = sum(array.nbytes for array in weights.values())
    if total > LARGEST:
        raise OptionError(f"a model of {total:,} bytes cannot be exported: an ONNX file holds at most {LARGEST:,}.")
    return Graph(weights, model.dtype, LENGTHS if lengths else None)


def _check_lengths(model: Network, lengths: bool) -> None:
    if lengths and not _any_steps(model):
        mixer = f" Layer {model.mixer[0]}, {model.mixer[1]!r}, takes padding for steps." if model.mixer else ""
        raise OptionError(
            f"lengths=True needs a model of sequences whose layers pass over padding.{mixer} Leave lengths out."
        )


def _any_steps(model: Network) -> bool:
    return model.input_extents[:1] == (None,)


def _input(model: Network) -> Any:
    """Return the description of the graph's input: batch, and steps where any number will do, by name."""
    extents: list[int | str] = ["T" if extent is None else extent for extent in model.input_extents]
    return _tensor(INPUT, model.dtype if model.vocabulary is None else "int64", ["N", *extents])


def _tensor(name: str, dtype: str, extents: Sequence[int | str]) -> Any:
    onnx = library()
    kind = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    return onnx.helper.make_tensor_value_info(name, kind, extents)
