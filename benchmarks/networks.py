"""The kinds of networks that are trained: shapes, data, initial weights, and what one repetition consists of."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Labels = NDArray[np.int64]

CHECKED_STEPS = 10
"""Steps per epoch of the short run in which every contender's losses are compared."""


@dataclass(frozen=True)
class Data:
    """Examples: x (M, ...) float32; y (M,) int64 labels, or (M, 1) float32."""

    x: Floats
    y: Labels | Floats

    def first(self, count: int) -> Data:
        """Return the first examples only."""
        return Data(self.x[:count], self.y[:count])


@dataclass(frozen=True, kw_only=True)
class Workload:
    """How a network is trained; subclasses say which.

    The optimizer is gradient descent, or Adam with beta1 = 0.9, beta2 = 0.999, eps = 1e-8.

    Attributes:
        name: the key in results.
        optimizer: "sgd" or "adam".
        rate: learning rate.
        examples: in the data set; a multiple of the batch, so that every step does the same work.
        batch: examples per step; all of them means full batch, which nobody shuffles.
        epochs: in one repetition, enough for the clock to tell repetitions apart.
        per: what times are given per, "step" or "epoch".
        tolerance: how far the mean loss of a short run may lie from another contender's, relatively.
    """

    name: str
    optimizer: str
    rate: float
    examples: int
    batch: int
    epochs: int
    per: str
    # Thirty steps of float32 arithmetic in another order of summation; eps times some hundred roundings a step.
    tolerance: float = 2e-4

    @property
    def steps(self) -> int:
        """Steps per epoch."""
        return self.examples // self.batch

    @property
    def full_batch(self) -> bool:
        """Whether a step sees all examples."""
        return self.batch == self.examples

    @property
    def units(self) -> int:
        """How many of `per` one repetition does."""
        return self.epochs * (self.steps if self.per == "step" else 1)

    @cached_property
    def data(self) -> Data:
        """The data set, which the network can learn."""
        return self._draw(np.random.default_rng(2024))

    @property
    def checked_data(self) -> Data:
        """What the short run sees, in the order given."""
        return self.data.first(min(CHECKED_STEPS * self.batch, self.examples))

    @property
    def loss(self) -> str:
        """The loss, by the name that nnx gives it."""
        raise NotImplementedError(f"{type(self).__name__} must supply loss")

    def initial_weights(self) -> list[Floats]:
        """Draw the weights from which everyone starts, from input to output."""
        raise NotImplementedError(f"{type(self).__name__} must supply initial_weights")

    def _draw(self, rng: np.random.Generator) -> Data:
        raise NotImplementedError(f"{type(self).__name__} must supply _draw")


@dataclass(frozen=True, kw_only=True)
class Perceptron(Workload):
    """Layers of full connections.

    Batch normalisation stands between each hidden layer's product, which then has no bias, and its activation;
    dropout behind it.

    Attributes:
        sizes: inputs, hidden layers, outputs; one output means sigmoid cross-entropy, more mean softmax.
        activation: of the hidden layers, "relu" or "tanh".
        l2: lambda of the penalty lambda / (2 m) sum W^2, m being the batch.
    """

    sizes: tuple[int, ...]
    activation: str = "relu"
    batch_norm: bool = False
    dropout: float = 0.0
    l2: float = 0.0

    @property
    def binary(self) -> bool:
        """Whether there is one output, under sigmoid cross-entropy."""
        return self.sizes[-1] == 1

    @property
    def loss(self) -> str:
        """See `Workload.loss`."""
        return "sigmoid_cross_entropy" if self.binary else "softmax_cross_entropy"

    def _draw(self, rng: np.random.Generator) -> Data:
        """Draw uniform numbers, labelled by a random rule."""
        x = rng.random((self.examples, self.sizes[0]), np.float32)
        if self.sizes[0] == 2:
            return Data(x, (np.square(x - 0.5).sum(axis=1, keepdims=True) < 0.16).astype(np.float32))
        scores = (x - 0.5) @ rng.standard_normal((self.sizes[0], self.sizes[-1]), np.float32)
        return Data(x, (scores > 0).astype(np.float32) if self.binary else scores.argmax(axis=1))

    def initial_weights(self) -> list[Floats]:
        """Draw the weights of each layer, (I, O), variance 2 / I; biases and offsets start at 0, scales at 1."""
        rng = np.random.default_rng(7)
        return [_normal(rng, 2 / inputs, inputs, outputs) for inputs, outputs in pairwise(self.sizes)]


@dataclass(frozen=True, kw_only=True)
class Convolutions(Workload):
    """Convolutions of 3 x 3 taps without padding, each followed by relu and 2 x 2 max-pooling; then a dense layer.

    Attributes:
        side, channels: of the images, which are square.
        filters: output channels of each convolution.
        classes: outputs, under mean softmax cross-entropy.
    """

    side: int
    channels: int
    filters: tuple[int, ...]
    classes: int

    @property
    def loss(self) -> str:
        """See `Workload.loss`."""
        return "softmax_cross_entropy"

    @property
    def sides(self) -> list[int]:
        """The side of the images before each convolution, and after the last pooling."""
        found = [self.side]
        for _ in self.filters:
            found.append((found[-1] - 2) // 2)
        return found

    @property
    def features(self) -> int:
        """Inputs of the dense layer, in the order (height, width, channels)."""
        return self.sides[-1] ** 2 * self.filters[-1]

    def _draw(self, rng: np.random.Generator) -> Data:
        """Draw uniform pixels, labelled by a random rule."""
        shape = (self.examples, self.side, self.side, self.channels)
        x = rng.random(shape, np.float32)
        rule = rng.standard_normal((self.side**2 * self.channels, self.classes), np.float32)
        return Data(x, ((x - 0.5).reshape(self.examples, -1) @ rule).argmax(axis=1))

    def initial_weights(self) -> list[Floats]:
        """Draw the filters, (3, 3, C, O), and the dense weights, (I, O), variance 2 / inputs; biases start at 0."""
        rng = np.random.default_rng(7)
        pairs = pairwise((self.channels, *self.filters))
        filters = [_normal(rng, 2 / (9 * inputs), 3, 3, inputs, outputs) for inputs, outputs in pairs]
        return [*filters, _normal(rng, 2 / self.features, self.features, self.classes)]


@dataclass(frozen=True, kw_only=True)
class Sequences(Workload):
    """One recurrent layer, whose last output goes through a dense layer to one number, under mean squared error.

    An LSTM has the gates i, f, g, o and one bias, which begins at 1 for f; a GRU has the gates z, r, n, one bias of
    the inputs and one of the state. All other biases begin at 0.

    Attributes:
        cell: "lstm" or "gru".
        inputs, hidden, length: features of a step, units of state, steps.
    """

    cell: str
    inputs: int
    hidden: int
    length: int

    @property
    def gates(self) -> int:
        """How many gates the cell has."""
        return {"lstm": 4, "gru": 3}[self.cell]

    @property
    def loss(self) -> str:
        """See `Workload.loss`."""
        return "mean_squared_error"

    def _draw(self, rng: np.random.Generator) -> Data:
        """Draw normal numbers; the target is a sum over steps, in which later ones count more, of a mixture."""
        x = rng.standard_normal((self.examples, self.length, self.inputs), np.float32)
        mixture = x @ _normal(rng, 1 / self.inputs, self.inputs, 1)  # (M, T, 1)
        share = np.float32(0.8) ** np.arange(self.length, dtype=np.float32)[::-1]
        return Data(x, np.einsum("t,mto->mo", share, mixture))

    def initial_weights(self) -> list[Floats]:
        """Draw those of inputs (I, G H), of the state (H, G H) and of the dense layer (H, 1), variance 1 / rows."""
        rng, columns = np.random.default_rng(7), self.gates * self.hidden
        shapes = (self.inputs, columns), (self.hidden, columns), (self.hidden, 1)
        return [_normal(rng, 1 / rows, rows, outputs) for rows, outputs in shapes]

    def initial_bias(self) -> Floats:
        """Return the bias of the inputs, (G H,)."""
        bias = np.zeros((self.gates, self.hidden), np.float32)
        if self.cell == "lstm":
            bias[1] = 1
        return bias.ravel()


def _normal(rng: np.random.Generator, variance: float, *shape: int) -> Floats:
    return rng.standard_normal(shape, np.float32) * np.float32(math.sqrt(variance))
