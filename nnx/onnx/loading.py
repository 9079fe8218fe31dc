"""ONNX files as models."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nnx.errors import (
    DataError,
    DtypeError,
    FileFormatError,
    NnxError,
    OptionError,
    ShapeError,
    UnsupportedOperatorError,
    shown,
)
from nnx.interface import Backend
from nnx.model import Sequential
from nnx.onnx.axes import Atom, Axes, Group, axis_of, whole
from nnx.onnx.imports import IMPORTERS
from nnx.onnx.reading import LENGTHS, Reading
from nnx.onnx.source import Input, Node, Source, read_source
from nnx.onnx.steps import named
from nnx.onnx.trunk import Trunk, Value
from nnx.registry import resolve

_TEXT_LIMIT = 1 << 20
_TOKENS = ("int64", "int32")


def load(path: str | Path, backend: str | Backend | None = None) -> Sequential:
    """Read an ONNX file as a model, ready to predict; `compile` it to train it further.

    Nothing in the file is run, no other file is opened, and nothing is allocated for sizes that the file claims but
    does not hold. Its nodes must lead from one input to one output, through layers that nnx has; branches may be
    residual sums. Images and sequences lie in nnx as everywhere in it, the batch first and channels last: where the
    file has channels or steps first, `model.metadata["onnx"]` tells which of its axes is which of the model's:
    `x_of_the_model = x_of_the_file.transpose(model.metadata["onnx"]["input_axes"])`.

    A file of `Sequential.export_onnx` gives the same predictions again, bit for bit on the same backend, and the
    same metadata. What prediction does not need is not in it: dropout, initialisers, L2, momentum, optimizer, loss.

    Args:
        path: a file of operator sets 13 to 28, weights and inputs of float32 or float64.
        backend: a name or a `Backend`; by default the selected one.

    Raises:
        UnsupportedOperatorError: nnx has no layer for a node, which is named.
        FileFormatError: the file is missing, damaged or foreign, keeps weights in other files, or does not fit
            together. UnsupportedOperatorError and VersionError, of operators too old or too new, are of its kind.
        OptionError: path is neither a text nor a path.
        MissingLibraryError: onnx is not installed.
    """
    engine = resolve(backend)
    with _naming(path):
        source = read_source(path)
        inputs, start, lengths = _inputs(source)
        trunk = Trunk(inputs)
        reading = Reading(source, trunk, start.name, lengths, _dtype(source, start))
        _read_nodes(source, reading)
        return _model(source, reading, start, engine)


@contextmanager
def _naming(path: object) -> Iterator[None]:
    """Begin messages with the name of the file."""
    try:
        yield
    except FileFormatError as error:
        raise type(error)(f"{path}: {error}.") from error


def _inputs(source: Source) -> tuple[Axes, Input, str | None]:
    """Return the axes of the network's input, its description, and the name of the lengths' input."""
    lengths = next((item for item in source.inputs if item.name == LENGTHS and len(source.inputs) == 2), None)
    given = [item for item in source.inputs if item is not lengths]
    if len(given) != 1 or len(source.outputs) != 1:
        names = shown([item.name for item in given]), shown(list(source.outputs))
        raise FileFormatError(f"expected one input and one output, got inputs {names[0]} and outputs {names[1]}")
    extents = given[0].extents
    if not extents:
        raise FileFormatError(f"input {shown(given[0].name)} should have an axis for the batch")
    hint = _hint(source, len(extents) - 1)
    rest = [Atom(hint[place], True) if extent is None else None for place, extent in enumerate(extents[1:])]
    axes = [(atom,) if atom else axis_of(extent) for atom, extent in zip(rest, extents[1:], strict=True)]
    return [(Atom(extents[0], True),), *axes], given[0], lengths.name if lengths else None


def _hint(source: Source, count: int) -> list[int | None]:
    """Return the extents that the model was built for, which files of nnx keep."""
    try:
        kept = json.loads(source.facts.get("nnx.input_shape", "[]")[:_TEXT_LIMIT])
    except (ValueError, RecursionError):
        kept = []
    plain = isinstance(kept, list) and len(kept) == count
    if not plain or not all(type(extent) is int and 0 < extent < 2**31 for extent in kept):
        return [None] * count
    return [int(extent) for extent in kept]


def _dtype(source: Source, start: Input) -> str:
    if start.dtype not in _TOKENS:
        return start.dtype
    return next((array.dtype.name for array in source.constants.values() if array.dtype.kind == "f"), "float32")


def _read_nodes(source: Source, reading: Reading) -> None:
    for node in source.nodes:
        read = IMPORTERS.get(node.operator)
        if read is None:
            node.refuse(f"nnx has no layer for it; it reads {', '.join(sorted(IMPORTERS))}")
        with _at(node):
            found = read(reading, node)
        outputs = found if isinstance(found, Mapping) else {0: found}
        for place, item in outputs.items():
            reading.note(node, place, item)


@contextmanager
def _at(node: Node) -> Iterator[None]:
    """Name the node in messages of what a layer cannot do."""
    try:
        yield
    except FileFormatError:
        raise
    except NnxError as error:
        raise UnsupportedOperatorError(f"{node}: {str(error).rstrip('.')}") from error


def _model(source: Source, reading: Reading, start: Input, engine: Backend) -> Sequential:
    end, trunk = reading.result(source.outputs[0]), reading.trunk
    if not isinstance(end, Value):
        raise FileFormatError("the output does not depend on the input")
    try:
        made = trunk.finish(end)
        weights = named(trunk.steps)
        model = Sequential([step.make() for step in trunk.steps], dtype=reading.dtype, backend=engine)
        given = trunk.start.layout.settle()
        shape = tuple(_extent(group) for group in given[1:])
        model.lay_out(shape, sum(array.size for array in weights.values()))
        model.set_weights(weights)
    except (ShapeError, OptionError, DataError, DtypeError) as error:
        raise FileFormatError(f"its layers do not make a model: {str(error).rstrip('.')}") from error
    _check_open(model, given)
    model.metadata = _metadata(source)
    if "nnx.version" not in source.facts:
        model.metadata["onnx"] = _description(start, source.outputs[0], given, trunk, end, made)
    return model


def _extent(group: Group) -> int:
    """Return the extent to build for; 1 where the file leaves it open."""
    return math.prod(atom.size or 1 for atom in whole(group))


def _check_open(model: Sequential, axes: Axes) -> None:
    """Refuse an extent that the file leaves open and the layers do not."""
    for extent, group in zip(model.input_extents, axes[1:], strict=True):
        if extent is not None and any(atom.size is None for atom in whole(group)):
            raise FileFormatError(
                "the file leaves an extent of its input open that the layers must know; export it with a number"
            )


def _metadata(source: Source) -> dict[str, Any]:
    try:
        kept = json.loads(source.facts.get("nnx.metadata", "{}")[:_TEXT_LIMIT])
    except (ValueError, RecursionError) as error:
        raise FileFormatError(f"nnx.metadata is not JSON: {error}") from error
    if not isinstance(kept, dict):
        raise FileFormatError("nnx.metadata should be a dictionary")
    return kept


def _description(start: Input, output: str, given: Axes, trunk: Trunk, end: Value, made: Axes) -> dict[str, Any]:
    """Return the names of input and output, and which axis of the file is which of the model."""
    return {
        "input": start.name,
        "input_axes": _places(trunk.start.axes, given),
        "output": output,
        "output_axes": _places(end.axes, made),
    }


def _places(axes: Axes, layout: Axes) -> list[int]:
    """Return which axis of the file each axis in nnx is; -1 for one of a single element that the file lacks."""
    left: dict[int, Group] = {place: whole(group) for place, group in enumerate(axes)}
    places = []
    for group in layout:
        place = next((place for place, held in left.items() if held == whole(group)), -1)
        left.pop(place, None)
        places.append(place)
    return places
