"""What is known while a file is read: constants, extents that depend on the input, and values of the trunk."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from nnx.errors import FileFormatError, shown
from nnx.onnx.axes import Group
from nnx.onnx.source import Constant, Node, Source
from nnx.onnx.trunk import Trunk, Value


@dataclass(frozen=True)
class Extents:
    """Extents of an array, as nodes compute them for `Reshape`: numbers, or axes of values where these are open.

    Attributes:
        items: the extents.
        scalar: whether it is a single one, without an axis.
    """

    items: tuple[int | Group, ...]
    scalar: bool = False


@dataclass(frozen=True)
class Filled:
    """An array that holds one number throughout, of whatever shape; it is never made."""

    number: float


Found = Constant | Extents | Filled | Value
LENGTHS = "lengths"


class Reading:
    """The state of one file that is being read.

    Attributes:
        trunk: the layers found.
        opset: the version of the operators.
        dtype: of the weights.
        lengths: the name of an input that holds the lengths of the sequences, if there is one.
    """

    def __init__(self, source: Source, trunk: Trunk, start: str, lengths: str | None, dtype: str) -> None:
        """Begin with the constants and the input."""
        self.trunk, self.opset, self.lengths, self.dtype = trunk, source.opset, lengths, dtype
        self._found: dict[str, Found] = {**source.constants, start: trunk.start}
        self._uses = Counter(name for node in source.nodes for name in {*node.inputs})
        self._uses.update(source.outputs)

    def note(self, node: Node, place: int, found: Found) -> None:
        """Keep an output of a node."""
        if place < len(node.outputs) and node.outputs[place]:
            name = node.outputs[place]
            if name in self._found:
                raise FileFormatError(f"{node}: its output {shown(name)} has the name of something else")
            self._found[name] = found

    def result(self, name: str) -> Found:
        """Return what a name stands for at the end."""
        if name not in self._found:
            raise FileFormatError(f"no node makes the output {shown(name)}")
        return self._found[name]

    def wanted(self, node: Node, place: int) -> bool:
        """Tell whether anything uses an output."""
        return place < len(node.outputs) and self._uses[node.outputs[place]] > 0 and bool(node.outputs[place])

    def used_once(self, node: Node, place: int) -> bool:
        """Tell whether an input of a node goes nowhere else."""
        return self._uses[node.inputs[place]] == 1

    def has(self, node: Node, place: int) -> bool:
        """Tell whether a node is given an input."""
        return place < len(node.inputs) and bool(node.inputs[place])

    def any(self, node: Node, place: int) -> Found:
        """Return an input, whatever it is."""
        if not self.has(node, place):
            raise FileFormatError(f"{node}: input {place} is missing")
        name = node.inputs[place]
        if name not in self._found:
            raise FileFormatError(f"{node}: nothing before it makes its input {shown(name)}")
        return self._found[name]

    def value(self, node: Node, place: int = 0) -> Value:
        """Return an input that flows through the network."""
        found = self.any(node, place)
        if not isinstance(found, Value):
            node.refuse(f"its input {place} is a constant, and nnx has no layer for what it does with it")
        return found

    def constant(self, node: Node, place: int, axes: int | None = None) -> Constant:
        """Return an input that is a constant array, of so many axes."""
        found = self.any(node, place)
        if not isinstance(found, np.ndarray):
            node.refuse(f"its input {place} must be a constant of the file")
        if axes is not None and found.ndim != axes:
            raise FileFormatError(f"{node}: its input {place} should have {axes} axes, got shape {found.shape}")
        return found

    def weight(self, node: Node, place: int, axes: int | None = None) -> Constant:
        """Return an input that is a constant array of numbers in the model's dtype."""
        found = self.constant(node, place, axes)
        if found.dtype.name != self.dtype:
            raise FileFormatError(f"{node}: its input {place} should be of {self.dtype}, got {found.dtype.name}")
        return found

    def whole_numbers(self, node: Node, place: int, attribute: str = "") -> list[int] | None:
        """Return whole numbers that are an input, or an attribute in older files; None where there are none."""
        if not self.has(node, place):
            return node.whole_numbers(attribute)
        found = self.constant(node, place)
        if found.dtype.kind != "i" or found.ndim > 1 or found.size > 64:
            raise FileFormatError(f"{node}: its input {place} should be a few whole numbers")
        return [int(number) for number in found.ravel()]
