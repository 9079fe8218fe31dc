"""A layer, a loss, an optimizer and a schedule of one's own, and models of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

import nnx

RNG = np.random.default_rng(4)
X, Y = RNG.normal(size=(40, 4)).astype("float32"), RNG.normal(size=(40, 2)).astype("float32")


@dataclass(eq=False, repr=False)
class Gate(nnx.Layer):
    """x * g after inner layers, of options of every kind that a file holds."""

    start: float = 1.0
    times: int = 1
    name: str = "gate"
    open: bool = True
    note: str | None = None
    shape: tuple[int, ...] = ()
    pairs: tuple[tuple[str, float], ...] = ()
    marks: list[int] = field(default_factory=list)
    before: tuple[nnx.Layer, ...] = ()

    def setup(self, builder, shape):
        self.inner = nnx.layers.Chain(self.before)
        shape = self.inner.build(builder, shape)
        self.g = builder.parameter("g", shape[-1:], self.start)
        return shape

    def forward(self, x, context):
        ops, g, (x, inner) = self.ops, self.g, self.inner.forward(x, context)

        def scale(x, g, y):
            y[...] = x * g

        def scale_backward(x, g, dy, dx, dg):
            dx[...] = dy * g
            dg[...] = (x * dy).sum(axis=0)

        y = ops.like(x)
        ops.call(scale, x, g.value, y)

        def backward(dy):
            dx = ops.like(x)
            ops.call(scale_backward, x, g.value, dy, dx, g.grad)
            return inner(dx)

        return y, backward


@dataclass(frozen=True)
class Doubled(nnx.losses.MeanSquaredError):
    factor: float = 2.0


@dataclass(frozen=True)
class OwnSGD(nnx.SGD):
    """Steps along the signs of the gradient, if asked for."""

    tilt: float = 0.0
    checks: ClassVar = {**nnx.SGD.checks, "tilt": nnx.optimizers.NOT_NEGATIVE}


@dataclass(frozen=True)
class Saw(nnx.schedules.Schedule):
    high: float
    teeth: tuple[float, ...] = (1.0, 0.5)

    def __call__(self, epoch: float) -> float:
        return self.high * self.teeth[int(epoch) % len(self.teeth)]


OWN = [Gate, Doubled, OwnSGD, Saw]


def make(layer: nnx.Layer | None = None, loss: Any = None, rate: Any = None) -> nnx.Sequential:
    options = {"shape": (2, 3), "pairs": (("a", 0.1), ("b", 2.0)), "marks": [1, 2], "times": np.int64(3)}
    full = Gate(0.5, before=(nnx.Dense(3), nnx.Residual([Gate(name="inner")])), **options)
    layers = [nnx.Dense(5, "tanh"), full if layer is None else layer, nnx.Dense(2)]
    model = nnx.Sequential(layers, seed=2, input_shape=(4,), backend="numpy")
    return model.compile(loss or Doubled(3.0), OwnSGD(rate or nnx.schedules.WarmUp(Saw(0.05), 1), tilt=0.25))


def train(model: nnx.Sequential, *callbacks: Any, epochs: int = 3, **options: Any) -> nnx.History:
    return model.fit(X, Y, epochs=epochs, batch_size=8, callbacks=callbacks, **options)
