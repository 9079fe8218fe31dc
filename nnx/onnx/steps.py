"""Layers as they are found in a file, one after another, before a model is made of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnx.layers import Layer

Array = NDArray[Any]


@dataclass(eq=False)
class Step:
    """One layer: its class, its options, and the arrays that it is to hold.

    Attributes:
        weights: by their names in the layer, such as "weight" or "0.bias".
        inner: the layers inside of a container, whose option `layers` they become.
    """

    kind: type[Layer]
    options: dict[str, Any] = field(default_factory=dict)
    weights: dict[str, Array] = field(default_factory=dict)
    inner: list[Step] | None = None

    def make(self) -> Layer:
        """Return the layer, unbuilt."""
        layers = {} if self.inner is None else {"layers": [step.make() for step in self.inner]}
        options = {name: item.make() if isinstance(item, Step) else item for name, item in self.options.items()}
        return self.kind(**{**options, **layers})

    def named(self, path: str) -> Iterator[tuple[str, Array]]:
        """Yield the arrays by their names in a model, this layer being at that place."""
        for name, array in self.weights.items():
            yield f"{path}.{name}", np.ascontiguousarray(array)
        for index, step in enumerate(self.inner or ()):
            yield from step.named(f"{path}.{index}")

    def is_a(self, *kinds: type[Layer]) -> bool:
        """Tell whether the layer is of one of these classes."""
        return issubclass(self.kind, kinds)


def named(steps: list[Step]) -> Mapping[str, Array]:
    """Return all arrays by their names in the model."""
    return {name: array for index, step in enumerate(steps) for name, array in step.named(str(index))}
