"""A graph of ONNX while it is written: nodes, constants, and values in either order of axes."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nnx.builder import Shape
from nnx.onnx.library import library

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(eq=False)
class Value:
    """What flows between layers: an array whose first axis is the batch.

    The operators of ONNX for images have channels first, nnx has them last. A value may be known in both orders;
    the other one is made where something asks for it.

    Attributes:
        shape: of one example, channels last; steps as many as the model was built for.
        last: its name in the graph with channels last, None if it is not known.
        first: its name with channels first, None if it is not known.
    """

    shape: Shape
    last: str | None
    first: str | None = None


class Graph:
    """Collects what a file will hold.

    Attributes:
        path: the place of the layer being written, such as "2" or "3.0".
        lengths: the name of the lengths of the sequences, (N,) int32; None where there are none.
        dtype: that of the model, "float32" or "float64".
        nodes, constants: what has been written so far, as messages of the format.
    """

    def __init__(self, weights: Mapping[str, NDArray[Any]], dtype: str, lengths: str | None = None) -> None:
        """Take the arrays of the model by name, as `get_weights` has them."""
        self._weights, self.dtype, self.lengths = weights, dtype, lengths
        self.path = ""
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self._names: dict[str, int] = {}

    @contextmanager
    def within(self, path: str) -> Iterator[None]:
        """Write what the block writes under another path."""
        outer, self.path = self.path, path
        try:
            yield
        finally:
            self.path = outer

    def weights(self) -> dict[str, NDArray[Any]]:
        """Return the arrays of the layer being written, by their names in it ("weight", "0.bias")."""
        start = f"{self.path}."
        return {name[len(start) :]: array for name, array in self._weights.items() if name.startswith(start)}

    def constant(self, name: str, values: Any) -> str:
        """Write a constant array; return its name in the graph."""
        full = self._unique(f"{self.path}.{name}")
        array = np.ascontiguousarray(values).reshape(np.shape(values))
        self.constants.append(library().numpy_helper.from_array(array, full))
        return full

    def numbers(self, name: str, *values: int) -> str:
        """Write a vector of whole numbers, such as axes or a shape."""
        return self.constant(name, np.array(values, np.int64))

    def emit(self, operator: str, *inputs: str, outputs: int = 1, **attributes: Any) -> list[str]:
        """Write a node; return the names of its outputs. An input "" is one left out."""
        name = self._unique(f"{self.path}.{operator}")
        made = [f"{name}:{index}" if outputs > 1 else f"{name}:out" for index in range(outputs)]
        self.nodes.append(library().helper.make_node(operator, inputs, made, name, **attributes))
        return made

    def apply(self, operator: str, x: Value, *inputs: str, **attributes: Any) -> Value:
        """Write a node that works on each element alone, in the order of axes in which x is known."""
        last = x.last is not None
        (made,) = self.emit(operator, x.last or x.first or "", *inputs, **attributes)
        return Value(x.shape, made) if last else Value(x.shape, None, made)

    def last(self, x: Value) -> str:
        """Return the name of x with channels last, as nnx has them."""
        if x.last is None:
            rank = len(x.shape) + 1
            (x.last,) = self.emit("Transpose", str(x.first), perm=[0, *range(2, rank), 1])
        return x.last

    def first(self, x: Value) -> str:
        """Return the name of x with channels first; x has an axis of channels."""
        if len(x.shape) == 1:
            return self.last(x)
        if x.first is None:
            rank = len(x.shape) + 1
            (x.first,) = self.emit("Transpose", str(x.last), perm=[0, rank - 1, *range(1, rank - 1)])
        return x.first

    def _unique(self, name: str) -> str:
        count = self._names[name] = self._names.get(name, 0) + 1
        return name if count == 1 else f"{name}.{count}"
