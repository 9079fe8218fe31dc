"""The layers, one family per file."""

from nnx.layers.activation import Activation
from nnx.layers.base import Backward, Context, Layer, States
from nnx.layers.bidirectional import Bidirectional
from nnx.layers.containers import Chain, Observer, Residual, TimeDistributed
from nnx.layers.convolution import Conv1D, Conv2D
from nnx.layers.dense import Dense
from nnx.layers.dropout import Dropout, SpatialDropout
from nnx.layers.embedding import Embedding
from nnx.layers.normalization import BatchNorm, LayerNorm
from nnx.layers.pooling import (
    AveragePool1D,
    AveragePool2D,
    GlobalAveragePool1D,
    GlobalAveragePool2D,
    MaxPool1D,
    MaxPool2D,
)
from nnx.layers.recurrent import GRU, LSTM, SimpleRNN
from nnx.layers.shape import Flatten, Reshape
from nnx.layers.unrolling import Unrolled

LAYERS: dict[str, type[Layer]] = {
    layer.__name__: layer
    for layer in (
        *(Activation, AveragePool1D, AveragePool2D, BatchNorm, Bidirectional, Conv1D, Conv2D, Dense, Dropout),
        *(Embedding, Flatten, GRU, GlobalAveragePool1D, GlobalAveragePool2D, LSTM, LayerNorm, MaxPool1D, MaxPool2D),
        *(Reshape, Residual, SimpleRNN, SpatialDropout, TimeDistributed),
    )
}
"""Every layer that a saved model may hold, by name."""

__all__ = [
    "GRU",
    "LAYERS",
    "LSTM",
    "Activation",
    "AveragePool1D",
    "AveragePool2D",
    "Backward",
    "BatchNorm",
    "Bidirectional",
    "Chain",
    "Context",
    "Conv1D",
    "Conv2D",
    "Dense",
    "Dropout",
    "Embedding",
    "Flatten",
    "GlobalAveragePool1D",
    "GlobalAveragePool2D",
    "Layer",
    "LayerNorm",
    "MaxPool1D",
    "MaxPool2D",
    "Observer",
    "Reshape",
    "Residual",
    "SimpleRNN",
    "SpatialDropout",
    "States",
    "TimeDistributed",
    "Unrolled",
]
