"""Batch normalisation as programs written by hand have it: without learned scale, and with its usual mistakes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from nnx.builder import Builder, Shape
from nnx.errors import OptionError
from nnx.experiments.mnist.common import Digits
from nnx.interface import Array
from nnx.layers import Activation, BatchNorm, Context, Dense, Layer
from nnx.layers.base import Backward
from nnx.onnx import Graph, Value, exporter

MOMENTUM, EPS = 0.1, 1e-5


class Unscaled(Layer):
    """Batch normalisation as it should be, but for a scale of 1 and an offset of 0 that do not learn.

    Shapes: x (N, C) -> y (N, C).
    """

    def setup(self, builder: Builder, shape: Shape) -> Shape:
        """Declare the running statistics, and make the constants that stand for scale and offset."""
        self._mean = builder.state("running_mean", shape, 0.0)
        self._var = builder.state("running_var", shape, 1.0)
        self._ones, self._zeros = self.ops.asarray(np.ones(shape)), self.ops.asarray(np.zeros(shape))
        self._unused = self.ops.asarray(np.zeros(shape)), self.ops.asarray(np.zeros(shape))
        return shape

    def forward(self, x: Array, context: Context) -> tuple[Array, Backward]:
        """See `Layer.forward`."""
        if not context.train:
            return self.predict(x), lambda dy: dy
        return self.train(x)

    def train(self, x: Array) -> tuple[Array, Backward]:
        """Normalise a batch by its own statistics."""
        y, mean, rstd = self.normalised(x)

        def backward(dy: Array) -> Array | None:
            return self.ops.batch_norm_backward(x, self._ones, mean, rstd, dy, self._unused, self.wants_dx)

        return y, backward

    def normalised(self, x: Array) -> tuple[Array, Array, Array]:
        """Return y, and mean and 1 / standard deviation of the batch; the running statistics move."""
        running = self._mean.value, self._var.value
        return self.ops.batch_norm(x, self._ones, self._zeros, *running, MOMENTUM, EPS)

    def predict(self, x: Array) -> Array:
        """Normalise by the running statistics."""
        return self.ops.batch_norm_infer(x, self._ones, self._zeros, self._mean.value, self._var.value, EPS)


class WithoutGradient(Unscaled):
    """Mistake: the backward pass knows nothing of it, as if mean and deviation were 0 and 1."""

    def train(self, x: Array) -> tuple[Array, Backward]:
        """See `Unscaled.train`."""
        y, _, _ = self.normalised(x)
        return y, lambda dy: dy


class OwnStatistics(WithoutGradient):
    """Besides, predictions use the statistics of the examples that are predicted together."""

    def predict(self, x: Array) -> Array:
        """Normalise as in training, but for the running statistics."""
        y, _, _ = self.ops.batch_norm(x, self._ones, self._zeros, *self._unused, MOMENTUM, EPS)
        return y


class LeftOutAtPrediction(WithoutGradient):
    """Besides, predictions are made without it, although what follows has only seen normalised values."""

    def predict(self, x: Array) -> Array:
        """Return the values as they are."""
        return x


class ByVariance(WithoutGradient):
    """Besides, y = (x - mean) / variance, of the batch at prediction too."""

    def train(self, x: Array) -> tuple[Array, Backward]:
        """See `Unscaled.train`."""
        return self._divided_twice(x), lambda dy: dy

    def predict(self, x: Array) -> Array:
        """Divide by the variance of the examples that are predicted together."""
        return self._divided_twice(x)

    def _divided_twice(self, x: Array) -> Array:
        ops, zeros = self.ops, self._zeros
        y, _, rstd = ops.batch_norm(x, self._ones, zeros, *self._unused, MOMENTUM, EPS)
        return ops.batch_norm_infer(y, rstd, zeros, zeros, self._ones, 0.0)  # y times 1 / standard deviation


class PerExample(WithoutGradient):
    """Besides, mean and deviation are those of the units of one example, not of one unit over the examples."""

    def train(self, x: Array) -> tuple[Array, Backward]:
        """See `Unscaled.train`."""
        return self.predict(x), lambda dy: dy

    def predict(self, x: Array) -> Array:
        """Normalise every example on its own."""
        y, _, _ = self.ops.layer_norm(x, self._ones, self._zeros, EPS)
        return y


@exporter(Unscaled, WithoutGradient)
def _write_by_running_statistics(graph: Graph, layer: Unscaled, x: Value) -> Value:
    del layer
    ones, zeros = np.ones(x.shape, graph.dtype), np.zeros(x.shape, graph.dtype)
    arrays = {"gamma": ones, "beta": zeros, **graph.weights()}
    inputs = [graph.constant(name, array) for name, array in arrays.items()]
    return Value(x.shape, graph.emit("BatchNormalization", graph.last(x), *inputs, epsilon=EPS)[0])


@exporter(LeftOutAtPrediction)
def _write_nothing(graph: Graph, layer: LeftOutAtPrediction, x: Value) -> Value:
    del graph, layer
    return x


@exporter(PerExample)
def _write_by_example(graph: Graph, layer: PerExample, x: Value) -> Value:
    del layer
    arrays = {"gamma": np.ones(x.shape, graph.dtype), "beta": np.zeros(x.shape, graph.dtype)}
    inputs = [graph.constant(name, array) for name, array in arrays.items()]
    return Value(x.shape, graph.emit("LayerNormalization", graph.last(x), *inputs, epsilon=EPS)[0])


@dataclass(frozen=True)
class NormalisedAfter(Digits):
    """A network whose hidden layers are normalised after their activation.

    Attributes:
        norm: the layer that does it.

    Raises:
        OptionError: batch_norm, which would normalise them once more.
    """

    norm: type[Layer] = BatchNorm

    def __post_init__(self) -> None:
        """Check the options."""
        if self.batch_norm:
            raise OptionError(f"{type(self).__name__} expects batch_norm=False, got True: norm is what normalises.")

    def layers(self, outputs: int) -> Iterator[Layer]:
        """See `Training.layers`."""
        *hidden, last = super().layers(outputs)
        for layer in hidden:
            yield from self.normalised(layer) if isinstance(layer, Dense) else (layer,)
        yield last

    def normalised(self, layer: Dense) -> tuple[Layer, ...]:
        """Return a hidden layer and its norm."""
        return layer, self.norm()


@dataclass(frozen=True)
class NormalisedBefore(NormalisedAfter):
    """A network whose hidden layers are normalised before their activation."""

    def normalised(self, layer: Dense) -> tuple[Layer, ...]:
        """See `NormalisedAfter.normalised`."""
        return Dense(layer.units, init=self.init), self.norm(), Activation(self.activation)
