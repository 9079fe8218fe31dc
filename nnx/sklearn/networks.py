"""The network of a perceptron: its layers, its initial weights, and the affine maps that it comes to."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnx.layers import Activation, BatchNorm, Dense, Dropout, Layer
from nnx.model import Sequential
from nnx.sklearn.settings import Settings

Floats = NDArray[np.floating[Any]]
Maps = list[tuple[Floats, Floats]]
"""Weights (I, O) and offsets (O,) of one affine map after another."""


def make_layers(settings: Settings, outputs: int) -> list[Layer]:
    """Return the layers, unbuilt."""
    layers: list[Layer] = []
    for units in settings.hidden:
        if settings.batch_norm:  # its offset takes the place of the bias
            layers += [Dense(units, bias=False), BatchNorm(), Activation(settings.activation)]
        else:
            layers.append(Dense(units, settings.activation))
        if settings.dropout:
            layers.append(Dropout(settings.dropout))
    return [*layers, Dense(outputs)]


def draw_maps(settings: Settings, features: int, outputs: int, source: np.random.RandomState) -> Maps:
    """Draw initial weights and offsets, in the order and from the distribution of scikit-learn.

    Source: Glorot & Bengio 2010; the narrower range for the logistic function is scikit-learn's.
    """
    sizes = [features, *settings.hidden, outputs]
    spread = 2.0 if settings.activation == "sigmoid" else 6.0
    maps: Maps = []
    for before, after in pairwise(sizes):
        bound = math.sqrt(spread / (before + after))
        weight = source.uniform(-bound, bound, (before, after))
        maps.append((weight, source.uniform(-bound, bound, after)))
    return maps


def make_model(settings: Settings, maps: Maps, dtype: str, seed: int) -> Sequential:
    """Return a built network that begins with these maps; batch normalisation does without their offsets."""
    layers = make_layers(settings, maps[-1][1].size)
    model = Sequential(layers, seed=seed, dtype=dtype, input_shape=maps[0][0].shape[:1], backend=settings.backend)
    held = model.get_weights()
    initial = {}
    for index, (weight, offset) in zip(_places(model), maps, strict=True):
        initial[f"{index}.weight"] = weight
        if f"{index}.bias" in held:
            initial[f"{index}.bias"] = offset
    model.set_weights(initial)
    return model


def read_maps(model: Sequential) -> Maps:
    """Return the affine maps that predictions consist of, batch normalisation included."""
    held = model.get_weights()
    return [_read_map(model, held, index) for index in _places(model)]


def _read_map(model: Sequential, held: dict[str, Floats], index: int) -> tuple[Floats, Floats]:
    weight = held[f"{index}.weight"]
    if f"{index}.bias" in held:
        return weight, held[f"{index}.bias"]
    norm = model.chain.layers[index + 1]
    assert isinstance(norm, BatchNorm)
    gamma, beta, mean, var = (
        held[f"{index + 1}.{name}"] for name in ("gamma", "beta", "running_mean", "running_var")
    )
    scale = gamma / np.sqrt(var + norm.eps)
    return weight * scale, beta - mean * scale


def _places(model: Sequential) -> list[int]:
    return [index for index, layer in enumerate(model.chain.layers) if isinstance(layer, Dense)]
