"""The networks as functions of one flat tensor of parameters, in PyTorch."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from functools import singledispatch
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from benchmarks.contenders.torch_modules import LOSSES, in_order
from benchmarks.networks import Convolutions, Perceptron, Sequences, Workload

Statistics = list[Any]
"""(mean, variance) of what each normalisation saw, of which a step keeps running averages."""


class Function(ABC):
    """A network as a function of its parts.

    Attributes:
        workload: what it is.
        shapes: of the parts, in the order in which the flat tensor holds them.
        initial: their values, flat.
        normed: the units of each layer that is normalised.
    """

    def __init__(self, workload: Workload, initial: list[NDArray[Any]], normed: tuple[int, ...] = ()) -> None:
        """Lay out the parts."""
        self.workload, self.normed = workload, normed
        self.shapes: list[tuple[int, ...]] = [part.shape for part in initial]
        self.initial = np.concatenate([part.ravel() for part in initial]).astype(np.float32)

    def split(self, flat: Any) -> list[Any]:
        """Return views of the flat parameters."""
        counts = [math.prod(shape) for shape in self.shapes]
        pieces = zip(flat.split(counts), self.shapes, strict=True)
        return [piece.view(shape) for piece, shape in pieces]

    def running(self, device: str) -> list[Any]:
        """Return running means and variances as they begin."""
        return [
            fill
            for units in self.normed
            for fill in (torch.zeros(units, device=device), torch.ones(units, device=device))
        ]

    def loss(self, parts: list[Any], x: Any, y: Any) -> tuple[Any, Statistics]:
        """Return the loss of a batch, and what normalisations saw."""
        outputs, statistics = self.outputs(parts, x)
        return LOSSES[self.workload.loss](outputs, y), statistics

    @abstractmethod
    def outputs(self, parts: list[Any], x: Any) -> tuple[Any, Statistics]:
        """Return the outputs of a batch, and what normalisations saw."""


class Dense(Function):
    """Of W and b or (gamma, beta) per hidden layer, W and b at the end."""

    workload: Perceptron

    def __init__(self, workload: Perceptron) -> None:
        """Lay out the parts."""
        initial: list[NDArray[Any]] = []
        for weight in workload.initial_weights():
            units = weight.shape[1]
            normed = workload.batch_norm and units != workload.sizes[-1]
            initial += [weight, *([np.ones(units)] if normed else []), np.zeros(units)]
        super().__init__(workload, initial, workload.sizes[1:-1] if workload.batch_norm else ())

    def loss(self, parts: list[Any], x: Any, y: Any) -> tuple[Any, Statistics]:
        """Add the L2 penalty."""
        value, statistics = super().loss(parts, x, y)
        if self.workload.l2:
            matrices = [part for part in parts if part.ndim == 2]
            value = value + self.workload.l2 / (2 * x.shape[0]) * sum(part.square().sum() for part in matrices)
        return value, statistics

    def outputs(self, parts: list[Any], x: Any) -> tuple[Any, Statistics]:
        """See `Function.outputs`."""
        workload, rest, statistics, h = self.workload, list(parts), [], x
        for _ in workload.sizes[1:-1]:
            z = h @ rest.pop(0)
            if workload.batch_norm:
                statistics += [z.mean(0), z.var(0)]
                z = functional.batch_norm(z, None, None, rest.pop(0), rest.pop(0), training=True)
            else:
                z = z + rest.pop(0)
            h = torch.tanh(z) if workload.activation == "tanh" else torch.relu(z)
            h = functional.dropout(h, workload.dropout) if workload.dropout else h
        return torch.addmm(rest[1], h, rest[0]), statistics


class Images(Function):
    """Of filters and b per convolution, W and b at the end; channels last in memory, twice as fast as first."""

    workload: Convolutions

    def __init__(self, workload: Convolutions) -> None:
        """Lay out the parts; filters are (O, K, L, C)."""
        *filters, last = workload.initial_weights()
        initial: list[NDArray[Any]] = []
        for weight in filters:
            initial += [weight.transpose(3, 0, 1, 2), np.zeros(weight.shape[3])]
        super().__init__(workload, [*initial, last, np.zeros(last.shape[1])])

    def outputs(self, parts: list[Any], x: Any) -> tuple[Any, Statistics]:
        """See `Function.outputs`."""
        rest, h = list(parts), x.permute(0, 3, 1, 2)
        for _ in self.workload.filters:
            z = functional.conv2d(h, rest.pop(0).permute(0, 3, 1, 2), rest.pop(0))
            h = functional.max_pool2d(torch.relu(z), 2)
        flat = h.permute(0, 2, 3, 1).reshape(h.shape[0], -1)
        return torch.addmm(rest[1], flat, rest[0]), []


class LastStep(Function):
    """Of W, U and b of the recurrent layer, the bias of the state in a GRU, W and b at the end."""

    workload: Sequences

    def __init__(self, workload: Sequences) -> None:
        """Lay out the parts; W and U are transposed."""
        w, u, last = workload.initial_weights()
        bias = in_order(workload, workload.initial_bias())
        layer = [in_order(workload, w).T, in_order(workload, u).T, bias]
        if workload.cell == "gru":
            layer.append(np.zeros_like(bias))
        super().__init__(workload, [*layer, last, np.zeros(1)])

    def outputs(self, parts: list[Any], x: Any) -> tuple[Any, Statistics]:
        """See `Function.outputs`."""
        *layer, weight, bias = parts
        begin = x.new_zeros(1, x.shape[0], self.workload.hidden)
        options = True, 1, 0.0, True, False, True  # biases, layers, dropout, training, bidirectional, batch first
        if self.workload.cell == "gru":
            h = torch.gru(x, begin, layer, *options)[1]
        else:
            h = torch.lstm(x, (begin, begin), [*layer, torch.zeros_like(layer[2])], *options)[1]
        return torch.addmm(bias, h[0], weight), []


@singledispatch
def function_of(workload: Workload) -> Function:
    """Return the network as a function."""
    raise NotImplementedError(f"no function for {type(workload).__name__}")


function_of.register(Perceptron)(Dense)
function_of.register(Convolutions)(Images)
function_of.register(Sequences)(LastStep)
