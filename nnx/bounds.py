"""How much memory a model takes at most, from shapes alone: what no closer look is needed for.

Far too much on purpose: of a training step, 2 to 500 times what it takes.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from nnx.builder import Shape
from nnx.inputs import Examples
from nnx.parameters import Store

if TYPE_CHECKING:
    from nnx.trainable import Trainable

_PER_PLACE = 128
"""Bytes that a step takes at most for each number of `_places`: gradients and what engines keep are among them."""

_bytes_of: WeakKeyDictionary[Store, int] = WeakKeyDictionary()
"""What one example takes at most; the buffers of a model are made anew whenever its shapes change."""


def bound_of_copies(model: Trainable) -> int:
    """Return the bytes that training copies of the model at most, and what an update works in."""
    store = model.store
    numbers: int = (4 + len(model.moments)) * prod(store.values.shape) + prod(store.state.shape)
    return 8 * numbers


def bound_of_batches(model: Trainable, examples: Examples, size: int) -> int:
    """Return the bytes that batches of this size take at most, the examples and their order included."""
    count, numbers = examples.x.shape[0], examples.x.size + 3 * examples.targets.size  # targets, weights and marks
    size = min(size, count)
    return int(8 * numbers + 64 * count) + bound_of_step(model, examples.x.shape[1:], size + count % size)


def bound_of_step(model: Trainable, shape: Shape, rows: int) -> int:
    """Return the bytes that a step of so many rows takes at most, from shapes alone, in less than a microsecond."""
    store = model.store
    if store not in _bytes_of:
        _bytes_of[store] = _PER_PLACE * _places(model)
    steps = 1 if shape == model.input_shape else -(-prod(shape) // max(prod(model.input_shape), 1))
    return rows * steps * _bytes_of[store]


def _places(model: Trainable) -> int:
    """Return how many numbers a step computes for one example, on the high side.

    Inner arrays may be wider than outputs, and have steps that outputs have not, as in recurrent layers: so every
    parameter is taken to make an array of as many places as any layer has, and windows to be copied out.
    """
    shapes = [model.input_shape, *model.chain.shapes]
    places = max(prod(out[:-1]) for out in shapes)
    weights = [parameter.shape for parameter in model.store.parameters if parameter.shape]
    width = sum(weight[-1] + (prod(weight[:-1]) if len(weight) > 2 else 0) for weight in weights)
    return places * width + sum(map(prod, shapes))
