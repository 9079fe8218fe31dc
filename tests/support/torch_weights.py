"""Weights of PyTorch's layers as those of nnx, and back, as the docstrings of the layers say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Weights = dict[str, NDArray[Any]]

CONVOLUTION = {2: ((2, 3, 1, 0), (3, 2, 0, 1)), 1: ((2, 1, 0), (2, 1, 0))}
"""By the number of axes: the order in which to take PyTorch's, and that in which to take ours."""


def convolution_from_torch(weights: Mapping[str, Any], axes: int) -> Weights:
    """Conv2d and Conv1d: weight (O, C / G, K, L) and bias (O,)."""
    return {
        name: host(value).transpose(CONVOLUTION[axes][0]) if name == "weight" else host(value)
        for name, value in weights.items()
    }


def convolution_to_torch(weights: Weights, axes: int) -> Weights:
    """The other way."""
    return {
        name: value.transpose(CONVOLUTION[axes][1]) if name == "weight" else value
        for name, value in weights.items()
    }


def recurrent_from_torch(kind: str, weights: Mapping[str, Any], suffix: str = "_l0") -> Weights:
    """RNN, LSTM and GRU: one layer and direction of theirs is one layer of ours."""
    ours = {
        "weight": _gates(kind, host(weights[f"weight_ih{suffix}"])).T,
        "recurrent_weight": _gates(kind, host(weights[f"weight_hh{suffix}"])).T,
    }
    if f"bias_ih{suffix}" in weights:
        inputs, states = (_gates(kind, host(weights[f"{name}{suffix}"])) for name in ("bias_ih", "bias_hh"))
        ours |= {"bias": inputs, "recurrent_bias": states} if kind == "GRU" else {"bias": inputs + states}
    return ours


def recurrent_gradients_from_torch(kind: str, gradients: Mapping[str, Any], suffix: str = "_l0") -> Weights:
    """Gradients, of which those of the two biases that ours is the sum of are the same."""
    ours = recurrent_from_torch(kind, gradients, suffix)
    if kind != "GRU" and "bias" in ours:
        ours["bias"] = host(gradients[f"bias_ih{suffix}"])
    return ours


def recurrent_to_torch(kind: str, weights: Weights, suffix: str = "_l0") -> Weights:
    """The other way; where PyTorch has two biases for one of ours, the second is 0."""
    theirs = {
        f"weight_ih{suffix}": _gates(kind, weights["weight"].T),
        f"weight_hh{suffix}": _gates(kind, weights["recurrent_weight"].T),
    }
    if "bias" in weights:
        states = weights.get("recurrent_bias", np.zeros_like(weights["bias"]))
        theirs |= {f"bias_ih{suffix}": _gates(kind, weights["bias"]), f"bias_hh{suffix}": _gates(kind, states)}
    return theirs


def _gates(kind: str, values: NDArray[Any]) -> NDArray[Any]:
    """Swap the gates r and z of a GRU, which come first along the first axis."""
    if kind != "GRU":
        return values
    first, second, third = np.split(values, 3)
    return np.concatenate([second, first, third])


def host(tensor: Any) -> NDArray[Any]:
    return tensor if isinstance(tensor, np.ndarray) else tensor.detach().numpy()
