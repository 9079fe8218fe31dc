"""The networks as PyTorch modules, as the tutorials write them."""

from __future__ import annotations

from collections.abc import Callable
from functools import singledispatch
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.networks import Convolutions, Floats, Perceptron, Sequences, Workload

LOSSES: dict[str, Callable[[Any, Any], Any]] = {
    "sigmoid_cross_entropy": nn.functional.binary_cross_entropy_with_logits,
    "softmax_cross_entropy": nn.functional.cross_entropy,
    "mean_squared_error": nn.functional.mse_loss,
}
"""Loss of a workload -> PyTorch's."""


@singledispatch
def build(workload: Workload, device: str) -> Any:
    """Return the module, of inputs as the workload has them, with its initial weights."""
    raise NotImplementedError(f"no module for {type(workload).__name__} on {device}")


@build.register
def _(workload: Perceptron, device: str) -> Any:
    made: list[Any] = []
    weights = workload.initial_weights()
    for index, weight in enumerate(weights):
        hidden = index < len(weights) - 1
        made.append(_dense(weight, bias=not (hidden and workload.batch_norm)))
        made += _after(workload, weight.shape[1]) if hidden else []
    return nn.Sequential(*made).to(device)


@build.register
def _(workload: Convolutions, device: str) -> Any:
    *filters, last = workload.initial_weights()
    made: list[Any] = [ChannelsFirst()]
    for weight in filters:
        layer = nn.Conv2d(weight.shape[2], weight.shape[3], 3)
        _fill(layer, oikl_of(weight))
        made += [layer, nn.ReLU(inplace=True), nn.MaxPool2d(2)]
    side, channels = workload.sides[-1], workload.filters[-1]
    # Flatten goes through channels first.
    rows = last.reshape(side, side, channels, -1).transpose(2, 0, 1, 3).reshape(last.shape)
    made += [nn.Flatten(), _dense(rows)]
    return nn.Sequential(*made).to(device, memory_format=torch.channels_last)  # half of the time of the default


@build.register
def _(workload: Sequences, device: str) -> Any:
    return LastStep(workload).to(device)


class ChannelsFirst(nn.Module):  # type: ignore[misc]  # torch is untyped where it is not installed
    """(N, H, W, C), seen as (N, C, H, W)."""

    def forward(self, x: Any) -> Any:
        """Change the strides only."""
        return x.permute(0, 3, 1, 2)


class LastStep(nn.Module):  # type: ignore[misc]
    """A recurrent layer, and a dense one on its last output."""

    def __init__(self, workload: Sequences) -> None:
        """Put the workload's weights in; an LSTM has one bias there, two here, of which one stays zero."""
        super().__init__()
        w, u, last = workload.initial_weights()
        kind = {"lstm": nn.LSTM, "gru": nn.GRU}[workload.cell]
        self.recurrent = kind(workload.inputs, workload.hidden, batch_first=True)
        self.last = _dense(last)
        values = (in_order(workload, w).T, in_order(workload, u).T, in_order(workload, workload.initial_bias()))
        with torch.no_grad():
            held = self.recurrent
            parameters = held.weight_ih_l0, held.weight_hh_l0, held.bias_ih_l0
            for parameter, value in zip(parameters, values, strict=True):
                parameter.copy_(torch.from_numpy(value.copy()))
            held.bias_hh_l0.zero_()
        held.bias_hh_l0.requires_grad_(workload.cell == "gru")

    def forward(self, x: Any) -> Any:
        """Run the sequences."""
        outputs, _ = self.recurrent(x)
        return self.last(outputs[:, -1])


def oikl_of(weight: Floats) -> Floats:
    """Return filters (K, L, C, O) as (O, C, K, L)."""
    return weight.transpose(3, 2, 0, 1)


def in_order(workload: Sequences, values: Floats) -> Floats:
    """Return weights or biases (..., G H) with the gates as PyTorch orders them: i, f, g, o or r, z, n."""
    gates = np.split(values, workload.gates, axis=-1)
    return values if workload.cell == "lstm" else np.concatenate([gates[1], gates[0], gates[2]], axis=-1)


def _dense(weight: Floats, bias: bool = True) -> Any:
    layer = nn.Linear(*weight.shape, bias=bias)
    _fill(layer, weight.T)
    return layer


def _fill(layer: Any, weight: Floats) -> None:
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(weight.copy()))
        if layer.bias is not None:
            layer.bias.zero_()


def _after(workload: Perceptron, units: int) -> list[Any]:
    norm = [nn.BatchNorm1d(units)] if workload.batch_norm else []
    drop = [nn.Dropout(workload.dropout)] if workload.dropout else []
    return [*norm, nn.Tanh() if workload.activation == "tanh" else nn.ReLU(inplace=True), *drop]


def loss_function(workload: Workload, model: Any) -> Callable[[Any, Any], Any]:
    """Return the loss of a batch, L2 penalty included."""
    basic, l2 = LOSSES[workload.loss], workload.l2 if isinstance(workload, Perceptron) else 0.0
    matrices = [layer.weight for layer in model.modules() if isinstance(layer, nn.Linear)]

    def loss(x: Any, y: Any) -> Any:
        value = basic(model(x), y)
        return value + l2 / (2 * x.shape[0]) * sum(weight.square().sum() for weight in matrices) if l2 else value

    return loss
