"""An ONNX file from anywhere: read, measured and taken apart, without running anything that is in it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from nnx.errors import FileFormatError, UnsupportedOperatorError, VersionError, excerpt, shown
from nnx.files import begins_with, check_path
from nnx.onnx.library import library

Constant = NDArray[Any]

OPSETS = range(13, 29)
"""The operator sets that are read: from the one of 2020 that most exporters still write, to the newest known."""

LARGEST = 2**31
"""Bytes of a file that is read; the format's messages have no more."""

_SIZES = {"float32": 4, "float64": 8, "int64": 8, "int32": 4, "bool": 1}
_AXES = 16
_STANDARD = ("", "ai.onnx")


@dataclass(frozen=True)
class Node:
    """One node: its operator, its name, what it takes and gives, and its attributes as plain values.

    Attributes:
        inputs, outputs: names; "" stands for one that is left out.
        attributes: numbers, texts, lists of them, and constant arrays.
    """

    operator: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]

    def __str__(self) -> str:
        return f"node {shown(self.name)}, {excerpt(self.operator, 100)}"

    def refusal(self, reason: str) -> UnsupportedOperatorError:
        """Return an error that names the node."""
        return UnsupportedOperatorError(f"{self}: {reason}")

    def refuse(self, reason: str) -> NoReturn:
        """Raise an error that names the node."""
        raise self.refusal(reason)

    def option(self, name: str, default: Any) -> Any:
        """Return an attribute, or the default where the file gives none.

        Raises:
            FileFormatError: it is of another kind than the default.
        """
        value = self.attributes.get(name, default)
        if type(value) is not type(default):
            raise FileFormatError(f"{self}: {name} should be of {type(default).__name__}, got {shown(value)}")
        return value

    def whole_numbers(self, name: str) -> list[int] | None:
        """Return an attribute that is a list of whole numbers; None where the file gives none."""
        value = self.attributes.get(name)
        if value is not None and not (isinstance(value, list) and all(isinstance(item, int) for item in value)):
            raise FileFormatError(f"{self}: {name} should be whole numbers, got {shown(value)}")
        return value


@dataclass(frozen=True)
class Input:
    """What the graph takes: its name, its dtype, and its extents, None where the file leaves one open."""

    name: str
    dtype: str
    extents: tuple[int | None, ...]


@dataclass(frozen=True)
class Source:
    """A file taken apart.

    Attributes:
        nodes: in an order in which each follows what it needs.
        constants: arrays by name.
        inputs: what the graph takes besides.
        outputs: names.
        opset: the version of the operators.
        facts: the texts kept with the model, by name.
        size: of the file, in bytes.
    """

    nodes: tuple[Node, ...]
    constants: dict[str, Constant]
    inputs: tuple[Input, ...]
    outputs: tuple[str, ...]
    opset: int
    facts: dict[str, str]
    size: int


def read_source(path: str | Path) -> Source:
    """Read a file.

    Raises:
        OptionError: path is neither a text nor a path.
        FileFormatError: there is no such file, it is too large, damaged or foreign, or keeps its weights elsewhere.
        VersionError: its operators are of a version that is not read.
        MissingLibraryError: onnx is not installed.
    """
    onnx, source = library(), check_path(path)
    if not source.is_file():
        raise FileFormatError("there is no such file")
    size = source.stat().st_size
    if size > LARGEST:
        raise FileFormatError(f"expected at most {LARGEST:,} bytes, got {size:,}")
    if begins_with(source, b"\x89HDF"):
        raise FileFormatError("expected an ONNX file, got an HDF5 file; nnx.load reads those that nnx has saved")
    try:
        message = onnx.ModelProto.FromString(source.read_bytes())
    except Exception as error:  # protobuf's own error, whose module depends on how it was built
        raise FileFormatError(f"expected an ONNX file, but: {excerpt(str(error))}") from error
    if not message.graph.node or not message.opset_import:
        raise FileFormatError("expected an ONNX file, got one without nodes or without their version")
    return _take_apart(message, size)


def _take_apart(message: Any, size: int) -> Source:
    graph = message.graph
    if len(message.functions) or len(graph.sparse_initializer):
        raise FileFormatError("functions of the file's own and sparse arrays are not read; inline them first")
    constants = {text(tensor.name): read_tensor(tensor) for tensor in graph.initializer}
    nodes = tuple(_node(node) for node in graph.node)
    return Source(
        nodes,
        constants,
        tuple(_input(item) for item in graph.input if text(item.name) not in constants),
        tuple(text(item.name) for item in graph.output),
        _opset(message.opset_import),
        {text(item.key): text(item.value) for item in message.metadata_props},
        size,
    )


def text(value: str | bytes) -> str:
    """Return a text of the file, which comes as bytes where it is no UTF-8."""
    if isinstance(value, bytes):
        raise FileFormatError(f"holds a text that is not UTF-8, {shown(value)}")
    return value


def _opset(imports: Iterable[Any]) -> int:
    versions = [item.version for item in imports if item.domain in _STANDARD]
    if len(versions) != 1:
        raise FileFormatError("expected operators of the standard set, in one version")
    if versions[0] not in OPSETS:
        raise VersionError(
            f"expected operators of version {OPSETS[0]} to {OPSETS[-1]}, got {versions[0]}; convert the file by "
            "onnx.version_converter, or export it anew"
        )
    return int(versions[0])


def _node(node: Any) -> Node:
    domain = "" if node.domain in _STANDARD else f"{excerpt(text(node.domain), 100)}."
    attributes = {text(item.name): _attribute(item) for item in node.attribute}
    inputs, outputs = (tuple(text(name) for name in names) for names in (node.input, node.output))
    return Node(domain + text(node.op_type), text(node.name) or (*outputs, "")[0], inputs, outputs, attributes)


def _attribute(item: Any) -> Any:
    """Return the value of an attribute; None for kinds that no known operator has, such as graphs."""
    kinds = library().AttributeProto
    match item.type:
        case kinds.FLOAT:
            return decimal(item.f)
        case kinds.INT:
            return int(item.i)
        case kinds.STRING:
            return item.s.decode("utf-8", "replace")
        case kinds.TENSOR:
            return read_tensor(item.t)
        case kinds.FLOATS:
            return [decimal(value) for value in item.floats]
        case kinds.INTS:
            return [int(value) for value in item.ints]
        case kinds.STRINGS:
            return [value.decode("utf-8", "replace") for value in item.strings]
    return None


def decimal(value: float) -> float:
    """Return the shortest decimal number of a float32, which the format keeps: 0.01 comes back as 0.01."""
    return float(str(np.float32(value)))


def read_tensor(tensor: Any) -> Constant:
    """Return a constant array, once its bytes are known to be there.

    Raises:
        FileFormatError: it lies in another file, has a type that is not read, or other bytes than its shape.
    """
    name = f"array {shown(tensor.name)}"
    if tensor.data_location or len(tensor.external_data):
        raise FileFormatError(f"{name} lies in another file, which is not read; save the model as one file")
    known = {getattr(library().TensorProto, _KINDS[dtype]): dtype for dtype in _SIZES}
    if tensor.data_type not in known:
        raise FileFormatError(f"{name} should be of {', '.join(_SIZES)}, got type {tensor.data_type}")
    dtype, shape = known[tensor.data_type], tuple(int(extent) for extent in tensor.dims)
    if len(shape) > _AXES or min(shape, default=1) < 0 or tensor.HasField("segment"):
        raise FileFormatError(f"{name} has the shape {shown(shape)}")
    values = _values(tensor, dtype)
    if values.size != math.prod(shape):
        raise FileFormatError(f"{name} of shape {shown(shape)} has {values.size:,} values")
    return values.reshape(shape)


_KINDS = {"float32": "FLOAT", "float64": "DOUBLE", "int64": "INT64", "int32": "INT32", "bool": "BOOL"}
_FIELDS = {"float32": "float_data", "float64": "double_data", "int64": "int64_data"}


def _values(tensor: Any, dtype: str) -> Constant:
    if not tensor.HasField("raw_data"):
        field = getattr(tensor, _FIELDS.get(dtype, "int32_data"))
        return np.array(field, np.float64 if dtype == "float64" else None).astype(dtype)
    data = tensor.raw_data
    if len(data) % _SIZES[dtype]:
        raise FileFormatError(f"array {shown(tensor.name)} of {dtype} has {len(data):,} bytes")
    return np.frombuffer(data, np.dtype(dtype).newbyteorder("<")).astype(dtype, copy=False)


def _input(item: Any) -> Input:
    tensor = item.type.tensor_type
    kinds = {getattr(library().TensorProto, kind): dtype for dtype, kind in _KINDS.items()}
    if not item.type.HasField("tensor_type") or tensor.elem_type not in kinds:
        raise FileFormatError(f"input {shown(item.name)} should be an array of {', '.join(_SIZES)}")
    if not tensor.HasField("shape") or len(tensor.shape.dim) > _AXES:
        raise FileFormatError(f"input {shown(item.name)} should have a shape of at most {_AXES} axes")
    extents = tuple(int(dim.dim_value) if dim.HasField("dim_value") else None for dim in tensor.shape.dim)
    if any(extent is not None and extent < 1 for extent in extents):
        raise FileFormatError(f"input {shown(item.name)} has the extents {shown(extents)}")
    return Input(text(item.name), kinds[tensor.elem_type], extents)
