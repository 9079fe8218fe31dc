"""Every kernel in plain array-API code: the specification that all backends are tested against.

The first argument is the array namespace (array API standard, 2023.12 or later); the others are those of the
kernel of the same name in `nnx.interface`, where shapes and meaning are written down. Clarity comes first
here: temporaries are allocated freely, and only the last statement of a kernel writes into a destination.
"""

from nnx.reference.activations import (
    activate,
    activate_backward,
    log_softmax,
    log_softmax_backward,
    softmax,
    softmax_backward,
)
from nnx.reference.convolution import conv2d, conv2d_backward
from nnx.reference.dropout import channel_dropout, dropout, random_bits
from nnx.reference.embedding import embedding, embedding_backward
from nnx.reference.indexing import (
    add,
    argmax,
    count_correct,
    count_correct_binary,
    increment,
    join,
    load_at,
    split,
    store_at,
    take_rows,
)
from nnx.reference.linear import linear, linear_backward, matmul
from nnx.reference.losses import (
    huber,
    mean_absolute_error,
    mean_squared_error,
    sigmoid_cross_entropy,
    soft_cross_entropy,
    softmax_cross_entropy,
)
from nnx.reference.normalization import (
    batch_norm,
    batch_norm_backward,
    batch_norm_infer,
    layer_norm,
    layer_norm_backward,
)
from nnx.reference.pooling import average_pool, average_pool_backward, max_pool, max_pool_backward
from nnx.reference.recurrent import (
    gru,
    gru_backward,
    lstm,
    lstm_backward,
    simple_rnn,
    simple_rnn_backward,
)
from nnx.reference.updates import (
    adam,
    adamw,
    clip_by_global_norm,
    l2_penalty,
    momentum,
    nesterov,
    rmsprop,
    sgd,
)

__all__ = [
    "activate",
    "activate_backward",
    "adam",
    "adamw",
    "add",
    "argmax",
    "average_pool",
    "average_pool_backward",
    "batch_norm",
    "batch_norm_backward",
    "batch_norm_infer",
    "channel_dropout",
    "clip_by_global_norm",
    "conv2d",
    "conv2d_backward",
    "count_correct",
    "count_correct_binary",
    "dropout",
    "embedding",
    "embedding_backward",
    "gru",
    "gru_backward",
    "huber",
    "increment",
    "join",
    "l2_penalty",
    "layer_norm",
    "layer_norm_backward",
    "linear",
    "linear_backward",
    "load_at",
    "log_softmax",
    "log_softmax_backward",
    "lstm",
    "lstm_backward",
    "matmul",
    "max_pool",
    "max_pool_backward",
    "mean_absolute_error",
    "mean_squared_error",
    "momentum",
    "nesterov",
    "random_bits",
    "rmsprop",
    "sgd",
    "sigmoid_cross_entropy",
    "simple_rnn",
    "simple_rnn_backward",
    "soft_cross_entropy",
    "softmax",
    "softmax_backward",
    "softmax_cross_entropy",
    "split",
    "store_at",
    "take_rows",
]
