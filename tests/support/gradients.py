"""Backward passes against central differences along random directions, in float64."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nnx import Backend, Context, Layer
from nnx.builder import Builder
from nnx.interface import Array
from nnx.ops import Ops
from nnx.parameters import Parameter, Store

STEP = 1e-6
DIRECTIONS = 4
TOLERANCE = 2e-8
"""Rounding of the function values over the step, eps / STEP, with a factor of 100 for sums."""

BEFORE = "0.before"
"""Something before the layer that could learn."""

Floats = NDArray[np.float64]
Values = NDArray[np.float64] | NDArray[np.int64]
Lengths = Sequence[int]


@dataclass
class Bench:
    """One layer, built as if something before it could learn, so that it computes dx."""

    layer: Layer
    ops: Ops
    store: Store
    output_shape: tuple[int, ...]

    def run(
        self, x: Values, dy: Floats | None = None, train: bool = True, lengths: Lengths | None = None
    ) -> tuple[Floats, Floats | None]:
        """Return the output, and dx where dy is given."""
        y, backward = self.layer.forward(self.array(x), self.context(train, lengths))
        dx = None if dy is None else backward(self.ops.asarray(dy))
        return self.host(y), None if dx is None else self.host(dx)

    def array(self, x: Values) -> Array:
        """Put inputs on the device: tokens as they are, numbers in the layer's dtype."""
        return self.ops.asarray(x, "int64" if np.asarray(x).dtype.kind in "iu" else None)

    def context(self, train: bool = True, lengths: Lengths | None = None) -> Context:
        return Context(train, None if lengths is None else self.ops.asarray(lengths, "int64"))

    def host(self, array: object) -> Floats:
        return self.ops.backend.to_numpy(array)

    def parameter(self, name: str) -> Parameter:
        """Find a parameter by the last part of its name."""
        return next(item for item in self.store.parameters if item.name.endswith(f".{name}"))

    def set(self, name: str, values: Floats) -> None:
        self.parameter(name).value[...] = self.ops.asarray(values)

    def value(self, name: str) -> Floats:
        return self.host(self.parameter(name).value)

    def gradient(self, name: str) -> Floats:
        return self.host(self.parameter(name).grad)

    def learned(self) -> list[Parameter]:
        """Return the parameters of the layer itself."""
        return [parameter for parameter in self.store.parameters if parameter.name != BEFORE]


def mount(
    layer: Layer,
    shape: tuple[int, ...],
    backend: Backend,
    dtype: str = "float64",
    seed: int = 3,
    path: str = "1",
) -> Bench:
    """Build a layer outside a model, and give all its parameters random values."""
    ops = Ops(backend, dtype)
    before = Parameter(BEFORE, (1,), np.zeros(1))
    builder = Builder(ops, seed, backend.zeros((), "int64"), path, parameters=[before])
    output_shape = layer.build(builder, shape)
    bench = Bench(layer, ops, Store(backend, dtype, builder.parameters, builder.states), output_shape)
    random = np.random.default_rng(seed)
    for parameter in bench.store.parameters:
        parameter.value[...] = ops.asarray(random.normal(size=parameter.shape))
    return bench


def check_gradients(
    layer: Layer, shape: tuple[int, ...], backend: Backend, rows: int = 5, lengths: Lengths | None = None
) -> None:
    """Assert that dx and the gradient of every parameter are the slopes of the forward pass."""
    bench, random = mount(layer, shape, backend), np.random.default_rng(17)
    x = random.normal(size=(rows, *shape))
    dy = random.normal(size=(rows, *bench.output_shape))
    _, dx = bench.run(x, dy, lengths=lengths)
    assert dx is not None
    assert dx.shape == x.shape
    _compare("x", dx, x, lambda moved: _inner(bench.run(moved, lengths=lengths)[0], dy), random)
    check_parameter_gradients(bench, x, dy, lengths)


def check_parameter_gradients(bench: Bench, x: Values, dy: Floats, lengths: Lengths | None = None) -> None:
    """Assert that the gradient of every parameter is the slope of the forward pass."""
    random = np.random.default_rng(19)
    bench.store.gradients[...] = float("nan")  # so that what is not written shows
    bench.run(x, dy, lengths=lengths)
    gradients = {item.name: bench.host(item.grad) for item in bench.learned()}
    for parameter in bench.learned():
        start = bench.host(parameter.value)

        def along(moved: Floats, parameter: Parameter = parameter) -> float:
            parameter.value[...] = bench.ops.asarray(moved)
            return _inner(bench.run(x, lengths=lengths)[0], dy)

        _compare(parameter.name, gradients[parameter.name], start, along, random)
        along(start)


def _inner(y: Floats, dy: Floats) -> float:
    return float(np.sum(y * dy))


def _compare(name, gradient, start, function, random) -> None:  # type: ignore[no-untyped-def]
    """Compare slopes; a direction in which the slope jumps within the step (a kink) says nothing."""
    smooth, middle = 0, function(start)
    for _ in range(DIRECTIONS):
        direction = random.normal(size=start.shape)
        direction /= np.linalg.norm(direction)
        right, left = function(start + STEP * direction), function(start - STEP * direction)
        scale = 1 + np.linalg.norm(gradient) + abs(middle)
        if abs(right - 2 * middle + left) / STEP > 1e-3 * scale:
            continue
        smooth += 1
        slope, expected = float(np.sum(gradient * direction)), (right - left) / (2 * STEP)
        assert abs(slope - expected) <= TOLERANCE * scale, (
            f"gradient of {name}: backward pass {slope:.10g}, central difference {expected:.10g}"
        )
    assert smooth >= DIRECTIONS // 2, f"gradient of {name}: nearly every direction crosses a kink"
