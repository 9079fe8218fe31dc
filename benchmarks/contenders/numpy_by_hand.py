"""NumPy as a careful author writes it from scratch: large arrays made once, `out=` for them, flat parameters."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.contenders.base import CannotExpressError, Loop, Trainer
from benchmarks.kernels.cases import Case
from benchmarks.kernels.in_numpy import loop
from benchmarks.networks import Data, Floats, Perceptron, Workload
from benchmarks.workloads import Orders

EPS = 1e-5
MOMENTUM = 0.1


def carve(flat: Floats, shapes: Sequence[tuple[int, ...]]) -> list[Floats]:
    """Return views of a flat buffer, one after another, in the given shapes."""
    views, start = [], 0
    for shape in shapes:
        count = int(np.prod(shape))
        views.append(flat[start : start + count].reshape(shape))
        start += count
    return views


class Norm:
    """Batch normalisation of (N, C), with its running statistics."""

    def __init__(self, rows: int, parameters: Sequence[Floats], gradients: Sequence[Floats]) -> None:
        """Take (gamma, beta) and the places of their gradients."""
        (self.gamma, self.beta), (self.dgamma, self.dbeta) = parameters, gradients
        self.gamma[...] = 1
        channels = self.gamma.size
        self.normalised, self.spare = np.empty((2, rows, channels), np.float32)
        self.running_mean, self.running_var = np.zeros(channels, np.float32), np.ones(channels, np.float32)

    def forward(self, x: Floats, y: Floats) -> None:
        """Normalise x into y, which may be x."""
        h, rows = self.normalised, x.shape[0]
        mean = x.mean(axis=0)
        np.subtract(x, mean, out=h)
        variance = np.einsum("ij,ij->j", h, h) / rows
        self.rstd = 1 / np.sqrt(variance + np.float32(EPS))
        np.multiply(h, self.rstd, out=h)
        np.multiply(h, self.gamma, out=y)
        np.add(y, self.beta, out=y)
        self.running_mean += MOMENTUM * (mean - self.running_mean)
        self.running_var += MOMENTUM * (variance * np.float32(rows / (rows - 1)) - self.running_var)

    def backward(self, dy: Floats, dx: Floats) -> None:
        """Write the gradient of the inputs into dx, which may be dy."""
        h, rows = self.normalised, dy.shape[0]
        np.sum(dy, axis=0, out=self.dbeta)
        np.einsum("ij,ij->j", dy, h, out=self.dgamma)
        np.multiply(h, self.dgamma / rows, out=self.spare)
        np.subtract(dy, self.dbeta / rows, out=dx)
        np.subtract(dx, self.spare, out=dx)
        np.multiply(dx, self.gamma * self.rstd, out=dx)


class Network:
    """A multilayer perceptron whose arrays are made for one number of rows."""

    def __init__(self, workload: Perceptron, rows: int) -> None:
        """Lay parameters and gradients out in two flat buffers."""
        self.workload, self.rows = workload, rows
        shapes: list[tuple[int, ...]] = [shape for pair in pairwise(workload.sizes) for shape in (pair, pair[1:])]
        norms: list[tuple[int, ...]] = (
            [(units,) for units in workload.sizes[1:-1] for _ in "gb"] if workload.batch_norm else []
        )
        total = sum(int(np.prod(shape)) for shape in shapes + norms)
        self.values, self.gradients = np.zeros(total, np.float32), np.zeros(total, np.float32)
        values, gradients = (carve(flat, shapes + norms) for flat in (self.values, self.gradients))
        ends = len(shapes)
        self.weights, self.biases = values[0:ends:2], values[1:ends:2]
        self.dweights, self.dbiases = gradients[0:ends:2], gradients[1:ends:2]
        for weight, initial in zip(self.weights, workload.initial_weights(), strict=True):
            weight[...] = initial
        self.norms = [
            Norm(rows, values[i : i + 2], gradients[i : i + 2]) for i in range(ends, len(shapes + norms), 2)
        ]
        self._make_room()

    def _make_room(self) -> None:
        sizes, rows = self.workload.sizes, self.rows
        self.outputs = [np.empty((rows, units), np.float32) for units in sizes[1:]]
        self.slopes = [np.empty((rows, units), np.float32) for units in sizes[1:]]
        self.spares = [np.empty((rows, units), np.float32) for units in sizes[1:-1]]
        self.masks = [np.empty((rows, units), np.bool_) for units in sizes[1:-1]]
        self._rng = np.random.Generator(np.random.SFC64(3))
        self._keep = round((1 - self.workload.dropout) * 65536)
        self._rows = np.arange(rows)

    def step(self, x: Floats, y: Any) -> float:
        """Compute loss and gradients of one batch."""
        self._forward(x)
        loss = self._binary(y) if self.workload.binary else self._softmax(y)
        self._backward(x)
        return loss + self._penalise() if self.workload.l2 else loss

    def _forward(self, x: Floats) -> None:
        h = x
        for layer, (weight, z) in enumerate(zip(self.weights, self.outputs, strict=True)):
            np.matmul(h, weight, out=z)
            hidden = layer < len(self.weights) - 1
            if hidden and self.norms:
                self.norms[layer].forward(z, z)
            else:
                z += self.biases[layer]
            if hidden:
                self._activate(layer, z)
            h = z

    def _activate(self, layer: int, z: Floats) -> None:
        if self.workload.activation == "tanh":
            np.tanh(z, out=z)
        else:
            np.maximum(z, 0, out=z)
        if self.workload.dropout:
            words = self._rng.bit_generator.random_raw(-(-z.size // 4))
            lanes = words.view(np.uint16)[: z.size].reshape(z.shape)
            np.less(lanes, self._keep, out=self.masks[layer])
            np.multiply(z, self.masks[layer], out=z)
            z *= np.float32(65536 / self._keep)

    def _softmax(self, y: NDArray[np.int64]) -> float:
        logits, d = self.outputs[-1], self.slopes[-1]
        np.subtract(logits, logits.max(axis=1, keepdims=True), out=d)
        picked = d[self._rows, y]
        np.exp(d, out=d)
        sums = d.sum(axis=1)
        loss = float((np.log(sums) - picked).mean())
        np.divide(d, sums[:, None] * self.rows, out=d)
        d[self._rows, y] -= np.float32(1 / self.rows)
        return loss

    def _binary(self, y: Floats) -> float:
        z, d = self.outputs[-1], self.slopes[-1]
        small = np.exp(-np.abs(z))  # e^-|z| cannot overflow
        loss = float((np.maximum(z, 0) - z * y + np.log1p(small)).mean())
        np.divide(np.where(z >= 0, 1, small), 1 + small, out=d)  # sigmoid
        d -= y
        d *= np.float32(1 / self.rows)
        return loss

    def _backward(self, x: Floats) -> None:
        for layer in reversed(range(len(self.weights))):
            d, inputs = self.slopes[layer], self.outputs[layer - 1] if layer else x
            if layer < len(self.weights) - 1:
                self._deactivate(layer, d)
            np.matmul(inputs.T, d, out=self.dweights[layer])
            if layer == len(self.weights) - 1 or not self.norms:
                np.sum(d, axis=0, out=self.dbiases[layer])
            if layer:
                np.matmul(d, self.weights[layer].T, out=self.slopes[layer - 1])

    def _deactivate(self, layer: int, d: Floats) -> None:
        output, mask = self.outputs[layer], self.masks[layer]
        if self.workload.dropout:
            d *= np.float32(65536 / self._keep)  # the mask itself is in output > 0
        if self.workload.activation == "tanh":
            spare = self.spares[layer]
            np.multiply(output, output, out=spare)
            np.subtract(1, spare, out=spare)
            d *= spare
        else:
            np.greater(output, 0, out=mask)
            d *= mask
        if self.norms:
            self.norms[layer].backward(d, d)

    def _penalise(self) -> float:
        scale, total = np.float32(self.workload.l2 / self.rows), 0.0
        for weight, gradient in zip(self.weights, self.dweights, strict=True):
            gradient += scale * weight
            total += float(np.vdot(weight, weight))
        return float(scale) / 2 * total


class Descent:
    """p = p - lr g."""

    def __init__(self, network: Network) -> None:
        """Take the flat buffers."""
        self.p, self.g, self.rate = network.values, network.gradients, np.float32(network.workload.rate)

    def __call__(self) -> None:
        """Take one step."""
        self.g *= self.rate
        self.p -= self.g


class Adam(Descent):
    """Kingma & Ba 2015, Algorithm 1, the bias corrections drawn into the learning rate and eps."""

    def __init__(self, network: Network) -> None:
        """Make room for the moments."""
        super().__init__(network)
        self.m, self.v, self.spare = (np.zeros_like(self.p) for _ in range(3))
        self.t = 0

    def __call__(self) -> None:
        """Take one step."""
        self.t += 1
        m, v, g, spare = self.m, self.v, self.g, self.spare
        m *= np.float32(0.9)
        np.multiply(g, np.float32(0.1), out=spare)
        m += spare
        np.multiply(g, g, out=g)
        g *= np.float32(0.001)
        v *= np.float32(0.999)
        v += g
        root = np.sqrt(1 - 0.999**self.t)
        np.sqrt(v, out=spare)
        spare += np.float32(1e-8 * root)
        np.divide(m, spare, out=spare)
        spare *= np.float32(self.rate * root / (1 - 0.9**self.t))
        self.p -= spare


class HandTrainer(Trainer):
    """The training loop."""

    def __init__(self, workload: Perceptron, data: Data, shuffle: bool) -> None:
        """Make all arrays."""
        self.data, self.rows = data, min(workload.batch, len(data.x))
        self.network = Network(workload, self.rows)
        self.update = Adam(self.network) if workload.optimizer == "adam" else Descent(self.network)
        self.full = self.rows == len(data.x)
        self.orders = Orders(len(data.x), shuffle and not self.full)
        self.x = np.empty((self.rows, data.x.shape[1]), np.float32)

    def train(self, epochs: int) -> float:
        """See `Trainer.train`."""
        loss = 0.0
        for _ in range(epochs):
            loss = self._step(self.data.x, self.data.y) if self.full else self._epoch()
        return loss

    def _step(self, x: Floats, y: Any) -> float:
        loss = self.network.step(x, y)
        self.update()
        return loss

    def _epoch(self) -> float:
        order, total = self.orders.draw(), 0.0
        for start in range(0, order.size, self.rows):
            rows = order[start : start + self.rows]
            np.take(self.data.x, rows, axis=0, out=self.x, mode="clip")  # "raise" would copy through a buffer
            total += self._step(self.x, self.data.y[rows])
        return total / (order.size // self.rows)


class ByHand:
    """NumPy alone."""

    def __init__(self, threads: int, device: str) -> None:
        """Nothing to set: BLAS has its threads from the environment."""

    def versions(self) -> dict[str, str]:
        """See `Contender.versions`."""
        return {"numpy": np.__version__}

    def trainer(self, workload: Workload, data: Data, shuffle: bool) -> Trainer:
        """See `Contender.trainer`."""
        if not isinstance(workload, Perceptron):
            raise CannotExpressError("convolutions and recurrence are not written by hand here")
        return HandTrainer(workload, data, shuffle)

    def kernel(self, case: Case) -> Loop:
        """See `Contender.kernel`."""
        return loop(case)
