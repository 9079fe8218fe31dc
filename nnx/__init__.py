"""nnx: write a neural network once, run it on NumPy, Numba or a CUDA GPU, and see that all three agree.

    (x, y), (x_test, y_test) = nnx.datasets.digits()
    model = nnx.Sequential([nnx.Flatten(), nnx.Dense(64, "relu"), nnx.Dense(10)], seed=1)
    model.compile("softmax_cross_entropy", nnx.Adam()).fit(x, y, epochs=20)
    print(model.evaluate(x_test, y_test))

Models: Sequential (compile, fit, evaluate, predict, stream, objective, save), load, Stream, Objective, History.
Layers: Dense, Activation, BatchNorm, LayerNorm, Dropout, SpatialDropout, Flatten, Reshape, Residual,
    TimeDistributed, or a subclass of Layer;
    for images Conv2D, MaxPool2D, AveragePool2D, GlobalAveragePool2D, and the same in 1D;
    for sequences SimpleRNN, LSTM, GRU, Bidirectional, Embedding, and the function pad_sequences.
Optimizers: SGD, Momentum, Nesterov, RMSprop, Adam, AdamW; their learning rates may be `schedules`.
Checks: check_gradients, for layers and losses of one's own; diff, where two engines part.
Engines: set_backend, use_backend, available_backends, set_num_threads; Backend to write one.
Modules: callbacks, datasets, errors, initializers, losses, onnx, optimizers, plots, schedules; examples to read;
    the passes as plain functions, by `from nnx import stepwise`; estimators for scikit-learn, by
    `import nnx.sklearn`.
The command line is `nnx --help`.
"""

import logging as _logging

from nnx import callbacks, datasets, errors, initializers, losses, onnx, optimizers, plots, schedules
from nnx.difference import Difference, diff
from nnx.gradients import GradientReport, check_gradients
from nnx.history import History
from nnx.interface import Backend
from nnx.layers import (
    GRU,
    LSTM,
    Activation,
    AveragePool1D,
    AveragePool2D,
    BatchNorm,
    Bidirectional,
    Context,
    Conv1D,
    Conv2D,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    GlobalAveragePool1D,
    GlobalAveragePool2D,
    Layer,
    LayerNorm,
    MaxPool1D,
    MaxPool2D,
    Reshape,
    Residual,
    SimpleRNN,
    SpatialDropout,
    TimeDistributed,
    Unrolled,
)
from nnx.model import Sequential
from nnx.objective import Objective
from nnx.optimizers import SGD, Adam, AdamW, Momentum, Nesterov, RMSprop
from nnx.registry import available_backends, set_backend, set_num_threads, use_backend
from nnx.registry import current as current_backend
from nnx.registry import get as get_backend
from nnx.sequences import pad_sequences
from nnx.serialization import load
from nnx.streaming import Stream
from nnx.version import __version__

_logging.getLogger("nnx").addHandler(_logging.NullHandler())  # programs decide what is shown of it

__all__ = [
    "GRU",
    "LSTM",
    "SGD",
    "Activation",
    "Adam",
    "AdamW",
    "AveragePool1D",
    "AveragePool2D",
    "Backend",
    "BatchNorm",
    "Bidirectional",
    "Context",
    "Conv1D",
    "Conv2D",
    "Dense",
    "Difference",
    "Dropout",
    "Embedding",
    "Flatten",
    "GlobalAveragePool1D",
    "GlobalAveragePool2D",
    "GradientReport",
    "History",
    "Layer",
    "LayerNorm",
    "MaxPool1D",
    "MaxPool2D",
    "Momentum",
    "Nesterov",
    "Objective",
    "RMSprop",
    "Reshape",
    "Residual",
    "Sequential",
    "SimpleRNN",
    "SpatialDropout",
    "Stream",
    "TimeDistributed",
    "Unrolled",
    "__version__",
    "available_backends",
    "callbacks",
    "check_gradients",
    "current_backend",
    "datasets",
    "diff",
    "errors",
    "get_backend",
    "initializers",
    "load",
    "losses",
    "onnx",
    "optimizers",
    "pad_sequences",
    "plots",
    "schedules",
    "set_backend",
    "set_num_threads",
    "use_backend",
]
