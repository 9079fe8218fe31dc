"""The layers, one family per file."""

from nnx.layers.activation import Activation
from nnx.layers.base import Backward, Context, Layer
from nnx.layers.containers import Chain, Residual
from nnx.layers.dense import Dense
from nnx.layers.dropout import Dropout
from nnx.layers.normalization import BatchNorm, LayerNorm
from nnx.layers.shape import Flatten, Reshape

LAYERS: dict[str, type[Layer]] = {
    layer.__name__: layer
    for layer in (Activation, BatchNorm, Dense, Dropout, Flatten, LayerNorm, Reshape, Residual)
}
"""Every layer that a saved model may hold, by name."""

__all__ = [
    "LAYERS",
    "Activation",
    "Backward",
    "BatchNorm",
    "Chain",
    "Context",
    "Dense",
    "Dropout",
    "Flatten",
    "Layer",
    "LayerNorm",
    "Reshape",
    "Residual",
]
