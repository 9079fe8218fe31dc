"""What network code calls: allocate the outputs, check the shapes, run the kernel, and record the call.

An `Ops` is bound to one backend. Nothing is read back from the device here: every result is an array. Kernels
that work in place (updates, penalties, counters) allocate nothing; network code hands them to `Ops.call`.
"""

from __future__ import annotations

from nnx.ops.activations import Activations
from nnx.ops.convolution import Convolution
from nnx.ops.embedding import Embedding
from nnx.ops.indexing import Indexing
from nnx.ops.linear import Linear
from nnx.ops.losses import Losses
from nnx.ops.normalization import Normalization
from nnx.ops.pooling import Pooling
from nnx.ops.recurrent import Recurrent


class Ops(Linear, Activations, Normalization, Losses, Indexing, Convolution, Pooling, Recurrent, Embedding):
    """All operations, bound to one backend."""


__all__ = ["Ops"]
